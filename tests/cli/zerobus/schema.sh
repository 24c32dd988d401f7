# Schemas of Arrow files in every form; what cannot be written is named, all of it.
data=$AREA/../../data/arrow
cd "$data" || exit 1 # messages name files as they were given
"$ZK" zerobus schema "zerobus_rows.arrows" -o descriptor | od -An -v -tx1 | tr -d ' \n' |
	cmp - <(tr -d '\n' <"zerobus_rows.descriptor.hex") && echo the descriptor is the golden one
"$ZK" zerobus schema "dictionary_nested.arrows"
"$ZK" zerobus schema - -o ddl -t main.default.t <"empty_batches.arrows"
"$ZK" zerobus schema "multi_batch.arrow" -o json-schema
"$ZK" zerobus schema "multi_batch.arrow" -o arrow-json
for f in unions nested bad_names dup_names wide2001; do
	"$ZK" zerobus schema "$f.arrows" || echo "exit $?"
done
for f in empty.arrows text.arrows field_bomb.arrows file_no_footer.arrow; do
	"$ZK" zerobus schema "bad/$f" || echo "exit $?"
done
"$ZK" zerobus schema "temporal.arrows" --time-as string -o ddl -t t
printf '{"columns":[{"name":"a","type_text":"map<string,struct<x:int>>"}]}' |
	"$ZK" zerobus schema --message Row
