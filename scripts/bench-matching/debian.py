"""Fetches Debian packages and unpacks them, each once."""

import subprocess


def unpacked(root, packages):
    """The folder that holds the files of these packages, and of all that were unpacked before."""
    debs = root / "debs"
    debs.mkdir(parents=True, exist_ok=True)
    missing = [name for name in packages if not list(debs.glob(name + "_*.deb"))]
    if missing:
        fetch = ["apt-get", "-qq", "download", *missing]
        if subprocess.run(fetch, cwd=debs).returncode != 0:
            # A fresh machine knows no packages yet; this needs root.
            subprocess.run(["apt-get", "-qq", "update"], check=True)
            subprocess.run(fetch, cwd=debs, check=True)
    files = root / "root"
    for name in packages:
        for deb in debs.glob(name + "_*.deb"):
            done = deb.with_suffix(".unpacked")
            if not done.exists():
                subprocess.run(["dpkg-deb", "-x", deb, files], check=True)
                done.touch()
    return files
