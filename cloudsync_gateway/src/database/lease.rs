//! A connection on loan: it goes back to the pool only when its work came to an end.

use deadpool_postgres::{ClientWrapper, Object};
use tokio_postgres::Client;
use tokio_postgres_rustls::MakeRustlsConnect;

/// A connection of the pool. If it is dropped in the middle of a request (the client went away, the
/// time is up), its statement is cancelled and the connection closed: nobody else meets its remains.
pub struct Lease {
    object: Option<Object>,
    tls: MakeRustlsConnect,
}

impl Lease {
    /// Takes charge of a connection.
    pub fn new(object: Object, tls: MakeRustlsConnect) -> Lease {
        Lease { object: Some(object), tls }
    }

    /// The connection.
    ///
    /// # Panics
    /// Never: it is there until it is given back, which consumes the lease.
    pub fn client(&self) -> &Client {
        self.object.as_ref().expect("a lease holds its connection until it is given back")
    }

    /// Gives the connection back for others to use.
    pub fn give_back(mut self) {
        drop(self.object.take());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(object) = self.object.take() else { return };
        let client: ClientWrapper = Object::take(object);
        let cancel = client.cancel_token();
        let tls = self.tls.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = cancel.cancel_query(tls).await {
                    tracing::warn!(%error, "a statement that nobody waits for could not be cancelled");
                }
                drop(client);
            });
        }
    }
}
