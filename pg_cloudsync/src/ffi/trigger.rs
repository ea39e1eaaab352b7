//! What PostgreSQL tells a trigger function, and the one trigger function of this extension.

use std::ffi::CStr;

use pgrx::spi::SpiClient;
use pgrx::{pg_extern, pg_sys};

use crate::capture;
use crate::error::{PgError, Result, SqlState, or_report};

/// The statement that fired a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// INSERT, COPY, or that part of an upsert or MERGE.
    Insert,
    /// UPDATE, or that part of an upsert or MERGE.
    Update,
    /// DELETE, or that part of a MERGE.
    Delete,
    /// TRUNCATE.
    Truncate,
}

/// One firing of a statement trigger.
pub struct Firing<'a> {
    data: &'a pg_sys::TriggerData,
}

/// Captures what a statement did. Declared in SQL as a trigger function; its one argument is the
/// number of the synced table.
#[pg_extern(sql = false)]
fn cloudsync_capture(fcinfo: pg_sys::FunctionCallInfo) -> i64 {
    or_report(Firing::of(&fcinfo).and_then(|firing| capture::fire(&firing)));
    0
}

impl<'a> Firing<'a> {
    fn of(fcinfo: &'a pg_sys::FunctionCallInfo) -> Result<Firing<'a>> {
        // SAFETY: PostgreSQL passes a valid call; that its context is trigger data is asked first. The
        // data lives as long as the call.
        let data = unsafe {
            if !pgrx::trigger_support::called_as_trigger(*fcinfo) {
                None
            } else {
                ((**fcinfo).context as *const pg_sys::TriggerData).as_ref()
            }
        };
        let Some(data) = data else {
            return Err(PgError::new(
                SqlState::WRONG_OBJECT,
                "cloudsync.capture() was not called as a trigger",
            ));
        };
        Ok(Firing { data })
    }

    /// What was done.
    ///
    /// # Errors
    /// It is none of the four.
    pub fn event(&self) -> Result<Event> {
        match self.data.tg_event & pg_sys::TRIGGER_EVENT_OPMASK {
            pg_sys::TRIGGER_EVENT_INSERT => Ok(Event::Insert),
            pg_sys::TRIGGER_EVENT_UPDATE => Ok(Event::Update),
            pg_sys::TRIGGER_EVENT_DELETE => Ok(Event::Delete),
            pg_sys::TRIGGER_EVENT_TRUNCATE => Ok(Event::Truncate),
            other => Err(PgError::internal(format!("cloudsync: unknown trigger event {other}"))),
        }
    }

    /// The table whose trigger it is: the synced table, or one of its partitions.
    pub fn relation(&self) -> pg_sys::Oid {
        // SAFETY: the relation is open while its trigger runs.
        unsafe { (*self.data.tg_relation).rd_id }
    }

    /// The number of the synced table, as the trigger was created with.
    ///
    /// # Errors
    /// The trigger was created by somebody else.
    pub fn table_id(&self) -> Result<i32> {
        // SAFETY: a trigger has `tgnargs` C strings in `tgargs`.
        let argument = unsafe {
            let trigger = &*self.data.tg_trigger;
            if trigger.tgnargs == 1 { CStr::from_ptr(*trigger.tgargs).to_str().ok() } else { None }
        };
        argument.and_then(|text| text.parse().ok()).ok_or_else(|| {
            PgError::new(
                SqlState::WRONG_OBJECT,
                "a trigger on cloudsync.capture() must be made by cloudsync_init()",
            )
        })
    }

    /// How many rows the statement touched, those of before and after an update counted once; `None`
    /// for TRUNCATE, which does not tell.
    pub fn rows(&self) -> Option<i64> {
        let stores = [self.data.tg_oldtable, self.data.tg_newtable];
        // SAFETY: the transition tables live as long as the trigger data.
        let counts = stores
            .iter()
            .filter(|store| !store.is_null())
            .map(|store| unsafe { pg_sys::tuplestore_tuple_count(*store) });
        counts.max()
    }

    /// Makes the transition tables known by name to the queries of this SPI connection.
    ///
    /// # Errors
    /// PostgreSQL refuses.
    pub fn register(&self, _client: &SpiClient<'_>) -> Result<()> {
        let data: *const pg_sys::TriggerData = self.data;
        // SAFETY: an SPI connection is open (its client is shown), and the trigger data outlives it.
        let code = unsafe { pg_sys::SPI_register_trigger_data(data.cast_mut()) };
        if code < 0 {
            return Err(PgError::internal(format!("cloudsync: transition tables are refused ({code})")));
        }
        Ok(())
    }
}
