#!/bin/sh
# csvsort and csvjoin of csvkit 2 change columns that they are not asked about: 0123 to 123, 12e3 to 1.2E+4, none to nothing.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT INT TERM
cd "$folder"
python3 -m pip install --quiet --no-compile --disable-pip-version-check --target lib csvkit==2.2.0 agate==1.14.2 2>pip.log ||
    { cat pip.log >&2; echo "cannot be tried here: csvkit could not be installed" >&2; exit 77; }
cat >requests.csv <<'END'
job_id,key,owner
0123,b,none
456,a,blue
12e3,c,n/a
END
sort_by_key() {
    PYTHONPATH=lib python3 -c 'from csvkit.utilities.csvsort import launch_new_instance as run; run()' -c key "$@" requests.csv
}
echo 'Requests with ids that are texts, to be sorted by another column, key:'
cat requests.csv
echo 'Expected: the same rows in another order.'
sort_by_key >seen
echo 'Seen with csvkit 2.2.0:'
cat seen
sort_by_key --no-inference >kept
echo 'With --no-inference, which is to keep cells as they are:'
cat kept
sort_by_key --no-inference --blanks >whole
echo 'With --no-inference --blanks:'
cat whole
cat <<'END'
What it means: requests that were only sorted name other jobs, and nothing in the file shows it: an id of digits loses its zeros,
one that looks like a number becomes one, and the words none, null, na, n/a and . become empty cells. csvcut and csvgrep leave
cells alone; csvsort, csvjoin and csvsql do not. Way out: --no-inference --blanks, both of them, or a sorter that knows no types.
END
[ "$(cat seen)" = 'job_id,key,owner
456,a,blue
123,b,
1.2E+4,c,' ] && [ "$(cat kept)" = 'job_id,key,owner
456,a,blue
0123,b,
12e3,c,' ] && [ "$(cat whole)" = 'job_id,key,owner
456,a,blue
0123,b,none
12e3,c,n/a' ]
