"""A partner's own program with paramiko: client.py PORT USER KEY put|rename|posix_rename|resume|get|do ..."""
import os
import sys
import time

import paramiko

port, user, key, act = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
args = [os.fsencode(a) for a in sys.argv[5:]]
transport = paramiko.Transport(("127.0.0.1", port))
transport.connect(username=user, pkey=paramiko.Ed25519Key.from_private_key_file(key))
sftp = paramiko.SFTPClient.from_transport(transport)


def write(local, remote, mode, rate=0):
    with open(local, "rb") as source, sftp.open(remote, mode) as target:
        if mode == "ab":
            source.seek(sftp.stat(remote).st_size)
        while piece := source.read(8192):
            target.write(piece)
            if rate:
                time.sleep(len(piece) / rate)


if act == "put":
    sftp.put(args[0], args[1])
elif act == "slow":
    write(args[0], args[1], "wb", int(args[2]))
elif act == "resume":
    write(args[0], args[1], "ab")
elif act in ("rename", "posix_rename"):
    temporary = args[1] + b".tmp"
    sftp.put(args[0], temporary)
    getattr(sftp, act)(temporary, args[1])
elif act == "get":
    sftp.get(args[0], args[1])
elif act == "do":
    # One line an attempt: what an attacker's client may ask for, and what the server said.
    for request in sys.argv[5:]:
        name, *rest = request.split("|")
        try:
            answer = getattr(sftp, name)(*[int(r[1:], 8) if r.startswith("#") else r for r in rest])
            print("ok", request, answer if name in ("listdir", "readlink", "normalize") else "", flush=True)
        except (OSError, paramiko.SSHException) as error:
            print("refused", request, error, flush=True)
transport.close()
