//! SHA-256 and HMAC-SHA256, by ring if its feature is enabled.
//!
//! ring uses the SHA instructions of the processor. hmac-sha256 keeps the graph of this crate
//! small.

#[cfg(not(feature = "ring"))]
mod implementation {
    use hmac_sha256::{HMAC, Hash};

    pub(crate) fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
        HMAC::mac(message, key)
    }

    /// Returns whether one of the digests is the HMAC of a message, and compares in constant time.
    pub(crate) fn matches_hmac(key: &[u8], message: &[u8], digests: &[[u8; 32]]) -> bool {
        let mut mac = HMAC::new(key);
        mac.update(message);
        digests.iter().any(|digest| mac.clone().finalize_verify(digest))
    }

    pub(crate) fn digest(message: &[u8]) -> impl AsRef<[u8]> {
        Hash::hash(message)
    }
}

#[cfg(feature = "ring")]
mod implementation {
    use ring::hmac::{HMAC_SHA256, Key, sign, verify};

    pub(crate) fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(sign(&Key::new(HMAC_SHA256, key), message).as_ref());
        bytes
    }

    /// Returns whether one of the digests is the HMAC of a message, and compares in constant time.
    ///
    /// ring compares only while it verifies a message. Several digests are therefore signed again,
    /// which is cheaper than hashing the message for each of them.
    pub(crate) fn matches_hmac(key: &[u8], message: &[u8], digests: &[[u8; 32]]) -> bool {
        let key = Key::new(HMAC_SHA256, key);
        if let [digest] = digests {
            return verify(&key, message, digest).is_ok();
        }
        let signed_tag = sign(&key, sign(&key, message).as_ref());
        digests.iter().any(|digest| verify(&key, digest, signed_tag.as_ref()).is_ok())
    }

    pub(crate) fn digest(message: &[u8]) -> impl AsRef<[u8]> {
        ring::digest::digest(&ring::digest::SHA256, message)
    }
}

pub(crate) use self::implementation::{digest, hmac, matches_hmac};
