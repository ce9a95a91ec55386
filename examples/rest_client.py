"""Sends images to `anomalyncd serve`, and comes again where the queue is full.

ANOMALYNCD_TOKEN=... python rest_client.py http://127.0.0.1:8000 image.png ...
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any


def classify(address: str, path: Path, token: str | None = None) -> dict[str, Any]:
    """Returns the result of one image: its verdict, or an error."""
    boundary = uuid.uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="images"; filename="{path.name}"'
    body = f"{head}\r\n\r\n".encode() + path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(f"{address}/v1/images:classify", body, headers)
    while True:
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                return json.load(answer)["results"][0]
        except urllib.error.HTTPError as error:
            if error.code == 429:
                time.sleep(float(error.headers["Retry-After"]))
                continue
            found = json.load(error)
            return found["results"][0] if "results" in found else found


if __name__ == "__main__":
    for name in sys.argv[2:]:
        print(json.dumps(classify(sys.argv[1], Path(name), os.environ.get("ANOMALYNCD_TOKEN"))))
