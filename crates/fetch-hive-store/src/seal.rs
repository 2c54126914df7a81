//! Encryption of stored payloads and secrets.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

use crate::StoreError;

const PLAIN: u8 = 0;
const SEALED: u8 = 1;

/// Encrypts values, if a key is set.
#[derive(Default)]
pub(crate) struct Sealer(Option<(String, LessSafeKey)>);

impl Sealer {
    pub(crate) fn new(id: &str, key: &[u8; 32]) -> Result<Self, StoreError> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| StoreError::Sealed)?;
        Ok(Self(Some((id.to_owned(), LessSafeKey::new(key)))))
    }

    /// Encrypts a value, and binds it to the key id and to its row.
    pub(crate) fn seal(&self, row: &[u8], value: &[u8]) -> Result<Vec<u8>, StoreError> {
        let Some((id, key)) = &self.0 else { return Ok([&[PLAIN], value].concat()) };
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| StoreError::Sealed)?;
        let mut sealed = value.to_vec();
        let aad = Aad::from([id.as_bytes(), &[0], row].concat());
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
            .map_err(|_| StoreError::Sealed)?;
        Ok([&[SEALED], &nonce[..], &sealed].concat())
    }

    pub(crate) fn open(&self, row: &[u8], value: &[u8]) -> Result<Vec<u8>, StoreError> {
        match (value.split_first(), &self.0) {
            (Some((&PLAIN, value)), _) => Ok(value.to_vec()),
            (Some((&SEALED, value)), Some((id, key))) if value.len() > NONCE_LEN => {
                let (nonce, value) = value.split_at(NONCE_LEN);
                let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| StoreError::Sealed)?;
                let aad = Aad::from([id.as_bytes(), &[0], row].concat());
                let mut value = value.to_vec();
                let opened = key.open_in_place(nonce, aad, &mut value).map_err(|_| StoreError::Sealed)?;
                Ok(opened.to_vec())
            }
            _ => Err(StoreError::Sealed),
        }
    }
}
