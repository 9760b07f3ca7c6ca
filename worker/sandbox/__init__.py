"""The confined child in which all untrusted bytes are sniffed and decoded.

    worker: Sandbox ──▶ launcher ──socket, descriptors──▶ server ──fork──▶ child: confinement ▸ sniffing | images
                                                                              │
    worker: endings ▸ replies ◀── how the child ended, and what it said ◀─────┘

`sandbox`, `launcher`, `endings` and `replies` run in the worker and believe nothing. `server` has the decoders loaded
and never runs them. Everything under `child` sees hostile bytes, and lives as long as one call.
"""

from worker.sandbox.answers import OUTPUT_TYPES, ImageLimits, Reencoded, Refused, Sniffed, Treatment
from worker.sandbox.endings import Kill
from worker.sandbox.sandbox import Sandbox

__all__ = ["OUTPUT_TYPES", "ImageLimits", "Kill", "Reencoded", "Refused", "Sandbox", "Sniffed", "Treatment"]
