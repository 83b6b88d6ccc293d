#!/usr/bin/env bash
# Backs up what must be kept, into a new folder:
#   DATABASE_URL=… MUSICREC_MODELS=… deploy/backup.sh FOLDER
# The database first: a model's folder is complete before the database names it and never changes
# after, so every model in the dump is in the archive. checksums.txt says what a restored copy must
# come to. PG_DUMP names another pg_dump; it must not be older than the server.
set -euo pipefail

folder=${1:?which folder?}
python=${PYTHON:-python}
root=$(cd "$(dirname "$0")/.." && pwd)
umask 077
mkdir "$folder"
# Dump and checksums of one moment: the snapshot is exported by the one and read by the other.
"$python" "$root/manage.py" back_up "$folder" --pg-dump "${PG_DUMP:-pg_dump}"
if [[ -z ${MUSICREC_MODELS_URL:-} ]]; then
    # A training that is under way writes below a name with a dot. 1 says that the folder grew
    # meanwhile, by models that came after the dump.
    tar --create --gzip --exclude './.*' --file "$folder/models.tar.gz" \
        --directory "${MUSICREC_MODELS:?}" . || [[ $? == 1 ]]
fi
(cd "$folder" && sha256sum -- * > SHA256SUMS)
echo "$folder is complete."
