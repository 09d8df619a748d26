/**
 * zstd (RFC 8878) compiled to WebAssembly: Node has none before 22.15. Most carriers do without, so dist has it in a file of its own,
 * which only those read that were started for it.
 *
 * INVARIANTS
 * - What a frame says it holds is looked at before the library makes room for that; it unpacks no more than fits there.
 * - What comes out is what went in, or nothing: behind the frame is the CRC-32 of what it holds, which does not rely on the library.
 */
import { crc32 } from 'node:zlib';
import { compress, decompress, init } from '@bokuweb/zstd-wasm';
import { MAX_SEALED } from './sealed.ts';

/** The fastest: memory is packed while a container stands still. */
const LEVEL = 1;
const CHECKSUM_BYTES = 4;

export interface Zstd {
  /** One zstd frame that says how much it holds, and a checksum. */
  pack(plain: Buffer): Buffer;
  /** What was packed; null when these bytes are nothing that `pack` makes of up to MAX_SEALED bytes. */
  unpack(packed: Buffer): Buffer | null;
}

/** A second `init` would put another memory under what the first one has. */
let loading: Promise<void> | undefined;

export async function loadZstd(): Promise<Zstd> {
  await (loading ??= init());
  return { pack, unpack };
}

function pack(plain: Buffer): Buffer {
  const frame = compress(plain, LEVEL);
  const packed = Buffer.allocUnsafeSlow(frame.length + CHECKSUM_BYTES);
  packed.set(frame);
  packed.writeUInt32LE(crc32(plain), frame.length);
  return packed;
}

function unpack(packed: Buffer): Buffer | null {
  const end = Math.max(0, packed.length - CHECKSUM_BYTES);
  const frame = packed.subarray(0, end);
  const size = contentSize(frame);
  if (size === null || size > MAX_SEALED) return null;
  const plain = unpacked(frame);
  return plain?.length === size && crc32(plain) === packed.readUInt32LE(end) ? plain : null;
}

function unpacked(frame: Buffer): Buffer | null {
  try {
    return asBuffer(decompress(frame));
  } catch {
    return null;
  }
}

const asBuffer = ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer =>
  Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);

const MAGIC = 0xfd2fb528;
/** Bytes of magic number and Frame_Header_Descriptor (3.1.1.1), and two flags of the latter. */
const DESCRIBED = 5;
const SINGLE_SEGMENT = 0x20;
/** Checksum, dictionary, reserved: of no frame that `pack` makes. */
const OTHERS = 0x1f;
/** By the two highest bits of the descriptor. */
const SIZE_BYTES = [1, 2, 4] as const;

/** Frame_Content_Size; null when these bytes begin with no frame that says it. */
function contentSize(frame: Buffer): number | null {
  if (frame.length < DESCRIBED || frame.readUInt32LE(0) !== MAGIC) return null;
  const descriptor = frame.readUInt8(DESCRIBED - 1);
  const hasWindow = (descriptor & SINGLE_SEGMENT) === 0;
  const width = SIZE_BYTES[descriptor >> 6];
  if ((descriptor & OTHERS) !== 0 || width === undefined || (width === 1 && hasWindow)) return null;
  const at = hasWindow ? DESCRIBED + 1 : DESCRIBED;
  if (frame.length < at + width) return null;
  return frame.readUIntLE(at, width) + (width === 2 ? 256 : 0);
}
