# Payloads, framed messages and descriptors as NDJSON.
# shellcheck disable=SC2001  # pairs of digits
bytes() { printf '%b' "$(sed 's/../\\x&/g' <<<"$1")"; }
air=0a0341697212130a0b6465766963655f6e616d65180120012809120c0a0474656d7018022001280512100a0868756d6964697479180320012803
row=0a0873656e736f722d3110fbffffffffffffffff0118ac02
bytes $air >air.pb
bytes "18${row}040a00100000" >air.binpb
echo "-- a descriptor"
"$ZK" zerobus decode air.pb
echo "-- payloads, with the descriptor beside them"
"$ZK" zerobus decode air.binpb
echo "-- without one"
"$ZK" zerobus decode - <air.binpb
echo "-- a stream in both directions"
{
	bytes "000000005a0a580a186d61696e2e64656661756c742e6169725f7175616c6974791a3a${air}2001"
	bytes 00000000281a26080212220a180a0873656e736f722d3110fbffffffffffffffff0118ac020a040a0010000a00
	bytes 00000000161a1408031a100a0a7b2274656d70223a317d0a027b7d
	bytes 00000000280a260a2431313131313131312d323232322d333333332d343434342d353535353535353535353535
	bytes 0000000005120308ac02
	bytes 000000000d120b08ffffffffffffffffff01
	bytes 00000000021200
	bytes 000000000b1a090a0708051080e59a77
	bytes 00000000021a00
} >s
"$ZK" zerobus decode --framed <s
echo "-- cut short"
head -c 20 air.binpb >cut.binpb
cp air.pb cut.pb
"$ZK" zerobus decode cut.binpb || echo "exit $?"
bytes 020aff >bad.binpb
cp air.pb bad.pb
"$ZK" zerobus decode bad.binpb || echo "exit $?"
