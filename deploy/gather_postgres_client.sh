#!/bin/sh
# Gathers pg_dump and pg_restore with every library they load, so that they run in another image of
# the same Debian, which need not have any of them:
#   sh deploy/gather_postgres_client.sh FOLDER-WITH-THE-TWO NEW-FOLDER
set -eu
from=$1 to=$2
mkdir -p "$to/bin" "$to/lib" "$to/libexec"
for name in pg_dump pg_restore; do
    cp "$from/$name" "$to/libexec/$name"
    ldd "$from/$name" > "$to/loads"
    awk '$2 == "=>" {print $1, $3}' "$to/loads" | while read -r library path; do
        [ -e "$path" ] || { echo "$name loads $library, which is not here" >&2; exit 1; }
        case $library in
            # The C library's own belong to the image's loader.
            libc.so.* | libm.so.* | libdl.so.* | libpthread.so.* | libresolv.so.* | librt.so.*) ;;
            *) cp -L "$path" "$to/lib/$library" ;;
        esac
    done
    printf '#!/bin/sh\nLD_LIBRARY_PATH=%s/lib exec %s/libexec/%s "$@"\n' "$to" "$to" "$name" \
        > "$to/bin/$name"
    chmod 755 "$to/bin/$name"
done
rm "$to/loads"
