/** Just enough protobuf to read flat messages of numbers: varints and nested messages (protobuf.dev, "Encoding"). */

/** Field number to value; of a repeated field the last one. Nested messages stay bytes. */
export interface Fields {
  readonly numbers: ReadonlyMap<number, number>;
  readonly messages: ReadonlyMap<number, Uint8Array>;
}

const VARINT = 0;
const LENGTH_DELIMITED = 2;

/** @throws {RangeError} when the bytes end early, or hold a kind of field that CRIU's statistics never have */
export function decodeFields(bytes: Uint8Array): Fields {
  const numbers = new Map<number, number>();
  const messages = new Map<number, Uint8Array>();
  for (let at = 0; at < bytes.length;) {
    const tag = readVarint(bytes, at);
    const value = readVarint(bytes, tag.next);
    const field = Math.floor(tag.value / 8);
    const kind = tag.value % 8;
    at = value.next;
    if (kind === VARINT) numbers.set(field, value.value);
    else if (kind === LENGTH_DELIMITED) {
      if (at + value.value > bytes.length) throw new RangeError('a message ends early');
      messages.set(field, bytes.subarray(at, at + value.value));
      at += value.value;
    } else throw new RangeError(`a field of kind ${kind}`);
  }
  return { numbers, messages };
}

/** Exact up to 2^53, which is four million TiB of pages. */
function readVarint(bytes: Uint8Array, from: number): { value: number; next: number } {
  let value = 0;
  for (let at = from, scale = 1; ; at += 1, scale *= 128) {
    const byte = bytes[at];
    if (byte === undefined || at - from > 9) throw new RangeError('a number ends early');
    value += (byte & 127) * scale;
    if (byte < 128) return { value, next: at + 1 };
  }
}
