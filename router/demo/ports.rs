//! The four ports of the demo: taken before anything else starts, so that a taken one is told at once.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

use super::Options;

/// Where everything listens, on 127.0.0.1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    pub(super) public: u16,
    pub(super) admin: u16,
    pub(super) ec2: u16,
    pub(super) ecs: u16,
}

/// Takes the environments' ports and tries the router's, which binds them itself a moment later.
pub(super) fn take(options: &Options) -> Result<(Ports, [TcpListener; 2]), String> {
    let wanted = [
        ("the router", options.port, "--port"),
        ("the admin API", options.admin_port, "--admin-port"),
        ("the environment ec2", options.ec2_port, "--ec2-port"),
        ("the environment ecs", options.ecs_port, "--ecs-port"),
    ];
    // All four are held at once, or two free ones asked for could be the same.
    let mut listeners = Vec::new();
    let mut complaints = Vec::new();
    for (whose, port, option) in wanted {
        match bind(port) {
            Ok((listener, port)) => listeners.push((listener, port)),
            Err(error) => complaints.push(complaint(whose, port, option, &error)),
        }
    }
    let Ok([(_, public), (_, admin), (first, ec2), (second, ecs)]) = <[_; 4]>::try_from(listeners)
    else {
        return Err(complaints.join("\nkanaria: "));
    };
    let ports = Ports {
        public,
        admin,
        ec2,
        ecs,
    };
    Ok((ports, [first, second]))
}

fn bind(port: u16) -> io::Result<(TcpListener, u16)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

fn complaint(whose: &str, port: u16, option: &str, error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => "is taken".to_owned(),
        _ => format!("cannot be used: {error}"),
    };
    format!("port {port} of {whose} {why}; choose another: {option} PORT (0 takes a free one)")
}
