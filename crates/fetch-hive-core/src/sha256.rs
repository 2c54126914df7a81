//! SHA-256 and HMAC-SHA256, by ring if its feature is enabled.
//!
//! ring uses the SHA instructions of the processor. hmac-sha256 keeps the graph of this crate
//! small.

#[cfg(not(feature = "ring"))]
mod implementation {
    use hmac_sha256::{HMAC, Hash};

    /// The HMAC of a message.
    pub(crate) struct Mac(HMAC);

    impl Mac {
        pub(crate) fn new(key: &[u8], message: &[u8]) -> Self {
            let mut mac = HMAC::new(key);
            mac.update(message);
            Self(mac)
        }

        pub(crate) fn bytes(&self) -> [u8; 32] {
            self.0.clone().finalize()
        }

        /// Compares the HMAC with another one in constant time.
        pub(crate) fn matches(&self, other: &[u8; 32]) -> bool {
            self.0.clone().finalize_verify(other)
        }
    }

    pub(crate) fn digest(message: &[u8]) -> impl AsRef<[u8]> {
        Hash::hash(message)
    }
}

#[cfg(feature = "ring")]
mod implementation {
    use ring::hmac::{HMAC_SHA256, Key, Tag, sign, verify};

    /// The HMAC of a message.
    pub(crate) struct Mac {
        key: Key,
        tag: Tag,
    }

    impl Mac {
        pub(crate) fn new(key: &[u8], message: &[u8]) -> Self {
            let key = Key::new(HMAC_SHA256, key);
            let tag = sign(&key, message);
            Self { key, tag }
        }

        pub(crate) fn bytes(&self) -> [u8; 32] {
            let mut bytes = [0; 32];
            bytes.copy_from_slice(self.tag.as_ref());
            bytes
        }

        /// Compares the HMAC with another one in constant time.
        ///
        /// ring compares only while it verifies a message. Both are therefore signed again, which
        /// is cheaper than hashing the message for each comparison.
        pub(crate) fn matches(&self, other: &[u8; 32]) -> bool {
            verify(&self.key, other, sign(&self.key, self.tag.as_ref()).as_ref()).is_ok()
        }
    }

    pub(crate) fn digest(message: &[u8]) -> impl AsRef<[u8]> {
        ring::digest::digest(&ring::digest::SHA256, message)
    }
}

pub(crate) use self::implementation::{Mac, digest};
