// objects.js COUNT - what node programs do: objects, maps, buffers, JSON. The
// objects live in V8's own heap; buffers, strings read from them and the
// compiler's zones come from malloc. Prints figures that depend on COUNT alone.
const crypto = require('crypto');
const zlib = require('zlib');

const count = Number(process.argv[2] || 200000);
let state = 12345;
const draw = () => (state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff) >> 8;

const people = new Map();
for (let i = 0; i < count; ++i) {
    people.set(`name-${draw() % count}`, { id: i, tags: [draw() % 10, draw() % 10], text: 'y'.repeat(draw() % 50) });
}
const text = JSON.stringify([...people]);
const back = new Map(JSON.parse(text));

const hash = crypto.createHash('sha256').update(text);
const kept = [];
for (let i = 0; i < count / 4; ++i) {
    const buffer = Buffer.alloc(200 + draw() % 20000, i & 255); // above the pool: each its own malloc
    hash.update(buffer.subarray(0, 64));
    kept[draw() % 500] = buffer;
}
const packed = zlib.gzipSync(Buffer.from(text), { level: 6 });
const unpacked = zlib.gunzipSync(packed);
console.log(back.size, text.length, unpacked.length, unpacked.toString() === text, hash.digest('hex'));
