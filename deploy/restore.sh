#!/usr/bin/env bash
# Restores a backup into an empty database and models folder, and compares every table:
#   DATABASE_URL=… MUSICREC_MODELS=… deploy/restore.sh FOLDER
# Stop web, worker and beat first. Ends with 1 where a file is damaged or a table differs.
set -euo pipefail

folder=${1:?which folder?}
python=${PYTHON:-python}
root=$(cd "$(dirname "$0")/.." && pwd)
(cd "$folder" && sha256sum --check --quiet SHA256SUMS)
"${PG_RESTORE:-pg_restore}" --exit-on-error --no-owner --no-privileges \
    --dbname "${DATABASE_URL:?}" "$folder/musicrec.dump"
if [[ -f $folder/models.tar.gz ]]; then
    mkdir -p "${MUSICREC_MODELS:?}"
    tar --extract --gzip --file "$folder/models.tar.gz" --directory "$MUSICREC_MODELS"
fi
"$python" "$root/manage.py" table_checksums | diff "$folder/checksums.txt" - || {
    echo "The restored tables differ from those that were backed up." >&2
    exit 1
}
echo "$folder is restored; every table is as it was."
