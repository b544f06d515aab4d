//! The configuration of a test: a small text with free ports, and the few things tests change in it.

use std::net::SocketAddr;

use super::stub::Stub;

/// A file to be written. Its route is called `web`, its stable pool `ec2`.
#[derive(Clone, Debug)]
pub(crate) struct File {
    server: String,
    admin: String,
    listener: String,
    pools: Vec<Pool>,
    route: String,
    weights: String,
    before: String,
    after: String,
    log: bool,
}

#[derive(Clone, Debug)]
struct Pool {
    name: String,
    targets: Vec<SocketAddr>,
    keys: String,
}

impl File {
    /// One route for everything, `ec2` stable, `weights` as in the file: `"ec2 = 70, ecs = 30"`.
    pub(crate) fn split(ec2: &Stub, ecs: &Stub, weights: &str) -> Self {
        Self::single(ec2)
            .pool("ecs", &[ecs.address])
            .weights(weights)
    }

    /// One route and one pool.
    pub(crate) fn single(ec2: &Stub) -> Self {
        Self::at(ec2.address)
    }

    /// As `single`, for a target that is no stub.
    pub(crate) fn at(ec2: SocketAddr) -> Self {
        Self {
            server: String::new(),
            admin: String::new(),
            listener: String::new(),
            pools: Vec::new(),
            route: String::new(),
            weights: String::new(),
            before: String::new(),
            after: String::new(),
            log: true,
        }
        .pool("ec2", &[ec2])
    }

    /// A public listener that takes HTTP/2 too.
    pub(crate) fn h2c(self) -> Self {
        self.listener("h2c = true")
    }

    /// Keys of the public listener, one a line.
    pub(crate) fn listener(mut self, keys: &str) -> Self {
        self.listener = format!("{}{keys}\n", self.listener);
        self
    }

    /// A public listener with TLS, as `table` says.
    pub(crate) fn tls(mut self, table: &str) -> Self {
        self.listener = format!("tls = {{ {table} }}\n");
        self
    }

    /// A further pool, or other targets for one that is there.
    pub(crate) fn pool(mut self, name: &str, targets: &[SocketAddr]) -> Self {
        let pool = Pool {
            name: name.into(),
            targets: targets.to_vec(),
            keys: String::new(),
        };
        self.pools.retain(|pool| pool.name != name);
        self.pools.push(pool);
        self
    }

    /// Keys of a pool, one a line.
    pub(crate) fn pool_keys(mut self, name: &str, keys: &str) -> Self {
        let pool = self.pools.iter_mut().find(|pool| pool.name == name);
        pool.expect("a pool of this file").keys = keys.into();
        self
    }

    /// Other weights.
    pub(crate) fn weights(mut self, weights: &str) -> Self {
        self.weights = weights.into();
        self
    }

    /// Keys of `[server]`, one a line.
    pub(crate) fn server(mut self, keys: &str) -> Self {
        self.server = format!("{}{keys}\n", self.server);
        self
    }

    /// Keys of `[admin]`, one a line.
    pub(crate) fn admin(mut self, keys: &str) -> Self {
        self.admin = keys.into();
        self
    }

    /// Keys of the route `web`, one a line, then tables of it.
    pub(crate) fn route(mut self, keys: &str) -> Self {
        self.route = keys.into();
        self
    }

    /// Tables tried before the route `web`.
    pub(crate) fn before(mut self, tables: &str) -> Self {
        self.before = tables.into();
        self
    }

    /// Tables at the end.
    pub(crate) fn after(mut self, tables: &str) -> Self {
        self.after = tables.into();
        self
    }

    /// No access log.
    pub(crate) fn quiet(mut self) -> Self {
        self.log = false;
        self
    }

    /// The text.
    pub(crate) fn text(&self) -> String {
        let Self {
            server,
            admin,
            listener,
            route,
            before,
            after,
            ..
        } = self;
        let weights = match self.weights.as_str() {
            "" => String::new(),
            weights => format!("weights = {{ {weights} }}\n"),
        };
        let log = if self.log {
            "[[access_log]]\npath = \"access.json\"\non_full = \"block\"\n"
        } else {
            ""
        };
        format!(
            "version = 1\n[server]\nthreads = 2\n{server}[admin]\nbind = \"127.0.0.1:0\"\n{admin}\n\
             [[listeners]]\nname = \"public\"\nbind = \"127.0.0.1:0\"\n{listener}{}{before}\n\
             [[routes]]\nname = \"web\"\nstable = \"ec2\"\n{weights}{route}\n{log}{after}\n",
            self.pools.iter().map(Pool::text).collect::<String>(),
        )
    }
}

impl Pool {
    fn text(&self) -> String {
        let targets: Vec<_> = self
            .targets
            .iter()
            .map(|address| format!("\"{address}\""))
            .collect();
        // A pool without targets finds them, as its keys say.
        let targets = match targets.as_slice() {
            [] => String::new(),
            targets => format!("targets = [{}]\n", targets.join(", ")),
        };
        format!("[pools.{}]\n{targets}{}\n", self.name, self.keys)
    }
}
