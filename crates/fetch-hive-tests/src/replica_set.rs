use std::collections::HashSet;
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use replicas::balancer::Balancer;
use replicas::service::read_address;

use crate::process::BoxError;

/// Processes of this program behind a balancer, which a test kills and suspends.
#[derive(Debug)]
pub struct ReplicaSet {
    arguments: Vec<String>,
    balancer: Balancer,
    replicas: Vec<(Child, SocketAddr)>,
    /// The ids of the killed processes.
    pub killed: HashSet<u32>,
    /// The number of suspensions.
    pub suspensions: usize,
}

impl ReplicaSet {
    /// Starts processes of this program with arguments that are made from the callback URL. Each
    /// process prints the address at which it receives callbacks.
    ///
    /// # Errors
    ///
    /// Returns an error if a process cannot be started.
    pub async fn start(count: usize, arguments: impl FnOnce(String) -> Vec<String>) -> Result<Self, BoxError> {
        let balancer = Balancer::start().await?;
        let arguments = arguments(format!("http://{}/callbacks", balancer.address()));
        let mut set = Self { arguments, balancer, replicas: Vec::new(), killed: HashSet::new(), suspensions: 0 };
        for _ in 0..count {
            set.replicas.push(set.start_replica()?);
        }
        set.update_balancer();
        Ok(set)
    }

    fn start_replica(&self) -> Result<(Child, SocketAddr), BoxError> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(&self.arguments).stdout(Stdio::piped());
        // A replica exits if the database is down, so it is started again.
        loop {
            let mut process = command.spawn()?;
            if let Ok(address) = read_address(&mut process) {
                return Ok((process, address));
            }
            process.wait()?;
        }
    }

    fn update_balancer(&self) {
        self.balancer.set_replicas(self.replicas.iter().map(|(_, address)| *address));
    }

    /// Kills a random process and starts another one.
    ///
    /// # Errors
    ///
    /// Returns an error if the process cannot be killed or started.
    pub fn kill(&mut self) -> Result<(), BoxError> {
        let victim = random(self.replicas.len());
        let (mut process, _) = self.replicas.swap_remove(victim);
        process.kill()?;
        process.wait()?;
        self.killed.insert(process.id());
        self.replicas.push(self.start_replica()?);
        self.update_balancer();
        Ok(())
    }

    /// Kills all processes.
    pub fn kill_all(&mut self) {
        for (mut process, _) in self.replicas.drain(..) {
            let _ = process.kill();
            let _ = process.wait();
            self.killed.insert(process.id());
        }
    }

    /// Suspends a random process for a random time.
    ///
    /// # Errors
    ///
    /// Returns an error if the process cannot be suspended.
    pub async fn suspend(&mut self, longest: Duration) -> Result<(), BoxError> {
        let id = self.replicas[random(self.replicas.len())].0.id().to_string();
        Command::new("kill").args(["-STOP", &id]).status()?;
        tokio::time::sleep(longest.mul_f64(f64::from(u16::try_from(random(1_000)).unwrap_or_default()) / 1e3)).await;
        Command::new("kill").args(["-CONT", &id]).status()?;
        self.suspensions += 1;
        Ok(())
    }
}

impl Drop for ReplicaSet {
    fn drop(&mut self) {
        self.kill_all();
    }
}

fn random(end: usize) -> usize {
    let bits = std::hash::RandomState::new().build_hasher().finish();
    usize::try_from(bits % end as u64).unwrap_or_default()
}
