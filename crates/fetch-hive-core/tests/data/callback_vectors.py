"""Makes the known answers in callback_vectors.json: python3 callback_vectors.py > callback_vectors.json

Each digest is made by Python's hmac and checked against `openssl dgst -sha256 -mac HMAC -macopt hexkey:… -binary`. The secrets and bodies
are fixed, so that the file is the same each time.
"""

import base64
import hashlib
import hmac
import json
import subprocess

SECRETS = ["whsec_test", "k", "whsec_" + "0123456789abcdef" * 8, "with blanks and ~!@#$%^&*()_+`-={}|[]\\:\";'<>?,./"]
BODIES = [
    b"",
    b"{}",
    b'{"event_type":"workflow.completed","request_id":"req_1","data":{"run_status":"completed","output":"done"}}',
    b'{"event_type":"agent.completed","request_id":"req_2","data":{"response":"Gr\xc3\xbc\xc3\x9fe \xf0\x9f\x90\x9d\\n"}}\n',
    b'\xef\xbb\xbf{ "event_type" : "a.b" }\r\n',
    bytes(range(256)),
    b"x" * 65,
    b"y" * 100_000,
]


def openssl(secret: bytes, body: bytes) -> bytes:
    command = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", "hexkey:" + secret.hex(), "-binary"]
    return subprocess.run(command, input=body, capture_output=True, check=True).stdout


vectors = []
for secret in SECRETS:
    for body in BODIES:
        digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
        assert openssl(secret.encode(), body) == digest
        vectors.append({
            "secret": secret,
            "body_base64": base64.b64encode(body).decode() if len(body) <= 1000 else None,
            "body_repeat": None if len(body) <= 1000 else [chr(body[0]), len(body)],
            "hex": digest.hex(),
            "base64": base64.b64encode(digest).decode(),
        })
print(json.dumps(vectors, indent=1))
