// Fills blocks of memory and a map, and counts what is no longer what was written. Prints how many
// arguments it has, its own name among them, and that count.
const blocks = new Array<Uint8Array>();
for (let i = 0; i < 20; i++) {
  blocks.push(new Uint8Array(1 << 20).fill(<u8>i));
  process.stderr.write("block " + i.toString() + " for " + process.argv[0] + "\n");
}
const words = new Map<string, i32>();
for (let i = 0; i < 60000; i++) words.set("word " + i.toString(), i);
let wrong = 0;
for (let i = 0; i < 20; i++) {
  for (let at = 0; at < 1 << 20; at++) if (blocks[i][at] != i) wrong++;
}
for (let i = 0; i < 60000; i++) if (words.get("word " + i.toString()) != i) wrong++;
console.log(process.argv.length.toString() + " " + wrong.toString());
