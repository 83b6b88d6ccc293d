"""Copies an object of a bucket into a file, for a task that has no disk to be given one on.

python deploy/fetch.py s3://BUCKET/KEY FILE
"""

import sys
from urllib.parse import urlsplit

import boto3

source, file = sys.argv[1:]
place = urlsplit(source)
if place.scheme != "s3":
    sys.exit(f"The source must be s3://BUCKET/KEY, got {source}")
boto3.client("s3").download_file(place.netloc, place.path.lstrip("/"), file)
