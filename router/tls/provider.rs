//! The cryptography that all of the process uses, chosen here and nowhere else.
//!
//! Two providers are compiled in, because pingora brings `ring`; asked for a default, rustls would then panic. So ours is
//! installed before anything else, and whatever we build is given it by name.

use std::sync::{Arc, LazyLock};

use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};

/// Groups for the key exchange, best first: what a quantum computer could not undo, where the client can do it too.
static GROUPS: [&dyn SupportedKxGroup; 4] = [
    kx_group::X25519MLKEM768,
    kx_group::X25519,
    kx_group::SECP256R1,
    kx_group::SECP384R1,
];

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    Arc::new(CryptoProvider {
        kx_groups: GROUPS.to_vec(),
        // Its suites are those of Mozilla's intermediate list that rustls has: ephemeral keys and authenticated ciphers.
        ..aws_lc_rs::default_provider()
    })
});

/// The provider, for whoever builds something by name.
pub fn provider() -> &'static Arc<CryptoProvider> {
    &PROVIDER
}

/// Makes it the one of the whole process, also toward targets. Called first of all.
pub fn install() {
    // Only a second call finds one, which is the same.
    let _ = CryptoProvider::clone(provider()).install_default();
}
