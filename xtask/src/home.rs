//! Where a private server lives, and as which user it runs.
//!
//! PostgreSQL refuses to run as root, so root hands it to another user; that user may be unable to
//! enter `target/` (a checkout under a home directory), and then a directory under /tmp serves.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::cleanup::{self, Guard};
use crate::{paths, run, setup};

/// Debian's server package makes the first; the second is on every machine.
const SERVER_USERS: &[&str] = &["postgres", "nobody"];

/// A user that may run server programs; ourselves, unless we are root.
#[derive(Clone)]
pub struct Owner(Option<Account>);

#[derive(Clone)]
struct Account {
    user: u32,
    group: u32,
}

impl Owner {
    /// Ourselves, or, for root, the first of [`SERVER_USERS`] that exists.
    pub fn find() -> Result<Owner> {
        if !setup::is_root() {
            return Ok(Owner(None));
        }
        let id = |flag: &str, user: &str| -> Option<u32> {
            run::quietly(run::command("id").args([flag, user])).ok()?.trim().parse().ok()
        };
        let account = |user: &&str| Some(Account { user: id("-u", user)?, group: id("-g", user)? });
        let found = SERVER_USERS.iter().find_map(account);
        Ok(Owner(Some(
            found.context("PostgreSQL refuses to run as root, and neither postgres nor nobody exists")?,
        )))
    }

    /// `program`, to be run as this user, and told to stop when we are gone, even when we were killed.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command.arg("--pdeathsig=INT");
        if let Some(Account { user, group }) = self.0 {
            command.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".into()]);
        }
        command.arg(program).current_dir("/");
        command
    }

    /// Makes a directory that only this user may use, as PostgreSQL demands of its data.
    pub fn create_dir(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        if let Some(Account { user, group }) = self.0 {
            chown(dir, Some(user), Some(group)).with_context(|| format!("give {} away", dir.display()))?;
        }
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
            .with_context(|| format!("set the mode of {}", dir.display()))
    }

    /// Whether this user may pass through `dir`.
    pub fn can_enter(&self, dir: &Path) -> bool {
        run::succeeds(self.command(Path::new("test")).arg("-x").arg(dir))
    }
}

/// A directory for the server's program files and data, removed on exit if it is not in `target/`.
pub struct Home {
    dir: PathBuf,
    _removal: Option<Guard>,
}

impl Home {
    /// `target/`, or, where the owner cannot enter it, a fresh directory under /tmp.
    pub fn find(owner: &Owner) -> Result<Home> {
        let target = paths::target();
        fs::create_dir_all(&target).with_context(|| format!("create {}", target.display()))?;
        if owner.can_enter(&target) {
            return Ok(Home { dir: target, _removal: None });
        }
        let home = Home::temporary("home")?;
        println!("the server's user cannot enter {}: using {}", target.display(), home.dir.display());
        Ok(home)
    }

    /// A fresh directory under /tmp that everyone may enter, removed on exit.
    pub fn temporary(purpose: &str) -> Result<Home> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
        let name = format!("cloudsync-{purpose}-{}-{:x}", process::id(), now.subsec_nanos());
        let dir = Path::new("/tmp").join(name);
        // Not `create_dir_all`: in a directory that all may write, an existing one may be a trap.
        fs::create_dir(&dir).with_context(|| format!("create {}", dir.display()))?;
        let doomed = dir.clone();
        let removal = cleanup::on_exit(move || drop(fs::remove_dir_all(doomed)));
        Ok(Home { dir, _removal: Some(removal) })
    }

    /// The directory itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether what is put here is still there at the next run.
    pub fn is_kept(&self) -> bool {
        self._removal.is_none()
    }
}

/// Empties and makes anew a directory that may be left from an earlier run.
pub fn recreate(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => bail!("remove {}: {error}", dir.display()),
    }
    fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))
}
