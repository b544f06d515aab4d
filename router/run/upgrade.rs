//! `run --upgrade`, the old process's side: who asks gets everything, and this process goes when that one serves.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::control::{Control, Loan};
use crate::handover::{Door, Offer, Successor};

/// A new process has this long from asking to being ready; targets are checked meanwhile.
const READY: Duration = Duration::from_secs(60);

/// Who was connected to the admin API before it paused has this long to say what it wants.
const HEARD_OUT: Duration = Duration::from_millis(50);
/// A process that was told to go and does not is waited for this long when this one must end.
const REVOKED: Duration = Duration::from_secs(5);

/// What a new process is given copies of.
pub(super) struct Estate {
    pub(super) door: Door,
    /// Name, address in the file, socket.
    pub(super) listeners: Vec<(String, String, OwnedFd)>,
    /// Address in the file, whether it is a unix socket, socket.
    pub(super) admin: (String, bool, OwnedFd),
    /// The admin API accepts nothing while this is true: what comes waits for whoever has the state in the end.
    pub(super) pause_admin: watch::Sender<bool>,
    /// Whether the file of the admin socket has a new owner.
    pub(super) admin_is_gone: Arc<AtomicBool>,
}

/// A task that waits for a new process.
pub(super) struct Will {
    /// `None` once it has ended without anybody taking over.
    task: Option<JoinHandle<Option<Successor>>>,
    stop: watch::Sender<bool>,
}

impl Will {
    /// Waits for a new process from now on.
    pub(super) fn new(estate: Estate, control: Control) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(async move { execute(&estate, &control, stopped).await });
        Self {
            task: Some(task),
            stop,
        }
    }

    /// Waits until a new process serves; for ever when none can ask.
    pub(super) async fn executed(&mut self) -> Successor {
        if let Some(task) = &mut self.task {
            let ended = task.await;
            self.task = None;
            if let Ok(Some(successor)) = ended {
                return successor;
            }
        }
        std::future::pending().await
    }

    /// Nobody takes over any more, and nothing listens any more for one who would. Whoever was already told to go has
    /// taken over when this returns.
    pub(super) async fn revoke(self) -> Option<Successor> {
        self.stop.send_replace(true);
        let ended = timeout(REVOKED, self.task?).await;
        ended.ok().and_then(Result::ok).flatten()
    }
}

async fn execute(
    estate: &Estate,
    control: &Control,
    mut stopped: watch::Receiver<bool>,
) -> Option<Successor> {
    loop {
        let offer = tokio::select! {
            offer = estate.door.knock() => offer,
            _ = stopped.wait_for(|stopped| *stopped) => return None,
        };
        tracing::info!("version {} asks to take over", offer.version());
        let outcome = tokio::select! {
            outcome = hand_over(estate, control, offer, &mut stopped) => outcome,
            () = estate.door.turn_away() => return None,
        };
        match outcome {
            Ok(successor) => return Some(successor),
            Err(why) => tracing::warn!("not handed over, this process goes on: {why}"),
        }
        estate.pause_admin.send_replace(false);
    }
}

/// Hands everything over to `offer`, or nothing.
async fn hand_over(
    estate: &Estate,
    control: &Control,
    offer: Offer,
    stopped: &mut watch::Receiver<bool>,
) -> Result<Successor, String> {
    estate.pause_admin.send_replace(true);
    tokio::time::sleep(HEARD_OUT).await;
    let Loan {
        revision,
        lock,
        mut terms,
    } = match control.lend().await {
        Ok(loan) => loan,
        Err(why) => {
            offer.refuse(&why).await;
            return Err(why);
        }
    };
    tracing::info!("handing over revision {revision}; changes wait, a rollback does not");
    let (bind, unix, socket) = &estate.admin;
    let admin = (bind.as_str(), *unix, socket);
    let readiness = async {
        let given = offer.grant(revision, &estate.listeners, admin, &estate.door, &lock);
        given.await?;
        offer.ready().await
    };
    let failed = tokio::select! {
        ready = timeout(READY, readiness) => match ready {
            Ok(Ok(keeps_admin)) => Ok(keeps_admin),
            Ok(Err(error)) => Err(format!("the new process is gone: {error}")),
            Err(_) => Err("the new process was not ready in time".into()),
        },
        () = terms.called_back() => Err("a rollback came first".to_owned()),
        _ = stopped.wait_for(|stopped| *stopped) => Err("the old process ends".to_owned()),
    };
    let settled = failed.and_then(|keeps_admin| {
        let settled = terms.settle().ok_or("a rollback came first")?;
        Ok((keeps_admin, settled))
    });
    match settled {
        Err(why) => {
            offer.abort(&why).await;
            Err(why)
        }
        Ok((keeps_admin, settled)) => {
            tracing::info!("the new process is ready, and is told to go");
            let gone = offer.go(keeps_admin).await;
            let gone = gone.map_err(|error| format!("the new process is gone: {error}"))?;
            // Before control ends: its thread ends with it, and would remove the file of the admin socket.
            let is_kept = gone.keeps_admin;
            estate.admin_is_gone.store(is_kept, Ordering::Release);
            settled.taken();
            Ok(gone)
        }
    }
}
