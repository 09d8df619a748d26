/**
 * The wire format of a channel: frames with a fixed header, either a JSON message or a piece of a file.
 *
 *     byte 0     version of the format
 *     byte 1     kind: 1 message, 2 bytes of a file
 *     byte 4-7   index of the file (kind 2)
 *     byte 8-11  length of what follows
 *
 * Anything else ends the channel: there is no way to find the next frame in a stream that is out of step.
 */
export const HEADER_BYTES = 12;
export const MAX_CHUNK_BYTES = 1024 * 1024;
const VERSION = 1;
const KIND = { message: 1, bytes: 2 } as const;

/** Bytes arrive in the pieces that the network delivered: a chunk is never gathered in memory. */
export type Frame =
  | { readonly kind: 'message'; readonly body: unknown }
  | { readonly kind: 'bytes'; readonly file: number; readonly bytes: Buffer };

/** What a peer may send at this point of the conversation. */
export interface FrameLimits {
  readonly messageBytes: number;
  readonly chunks: boolean;
}

/** The stream is not the protocol. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

/** A message as bytes for the wire. */
export function encodeMessage(message: object): Buffer {
  const body = Buffer.from(JSON.stringify(message));
  return Buffer.concat([header(KIND.message, 0, body.length), body]);
}

/** Writes the header of a chunk into the first HEADER_BYTES of the buffer that holds the chunk behind it. */
export function writeChunkHeader(into: Buffer, file: number, length: number): void {
  header(KIND.bytes, file, length).copy(into);
}

function header(kind: number, file: number, length: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.writeUInt8(VERSION, 0);
  bytes.writeUInt8(kind, 1);
  bytes.writeUInt32BE(file, 4);
  bytes.writeUInt32BE(length, 8);
  return bytes;
}

/** Turns a stream of buffers into frames. Pure: who feeds it decides when to stop reading. */
export class FrameParser {
  readonly #queue: Buffer[] = [];
  #chunk = { file: 0, left: 0 };
  limits: FrameLimits;
  /** Bytes that were pushed and not yet returned. */
  queued = 0;

  constructor(limits: FrameLimits) {
    this.limits = limits;
  }

  push(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#queue.push(bytes);
    this.queued += bytes.length;
  }

  /** The next frame, or null when more bytes are needed. @throws FrameError */
  next(): Frame | null {
    if (this.#chunk.left > 0) return this.#piece();
    if (this.queued < HEADER_BYTES) return null;
    const head = this.#peek(HEADER_BYTES);
    const { kind, file, length } = this.#checked(head);
    if (kind === KIND.bytes) {
      this.#take(HEADER_BYTES);
      this.#chunk = { file, left: length };
      return this.#piece();
    }
    if (this.queued < HEADER_BYTES + length) return null;
    this.#take(HEADER_BYTES);
    return { kind: 'message', body: parseJson(this.#take(length)) };
  }

  /** Whether the stream may end here. */
  get atBoundary(): boolean {
    return this.queued === 0 && this.#chunk.left === 0;
  }

  /** Gives back what was pushed and not used, for a stream that stops being framed. */
  rest(): Buffer {
    return this.#take(this.queued);
  }

  #checked(head: Buffer): { kind: number; file: number; length: number } {
    const [version, kind] = [head.readUInt8(0), head.readUInt8(1)];
    const [file, length] = [head.readUInt32BE(4), head.readUInt32BE(8)];
    if (version !== VERSION) throw new FrameError(`format version ${version}, not ${VERSION}`);
    if (head.readUInt16BE(2) !== 0) throw new FrameError('a malformed header');
    if (kind === KIND.message) {
      if (length > this.limits.messageBytes) throw new FrameError(`a message of ${length} bytes`);
    } else if (kind === KIND.bytes) {
      if (!this.limits.chunks) throw new FrameError('file bytes where none are expected');
      if (length === 0 || length > MAX_CHUNK_BYTES) throw new FrameError(`a chunk of ${length} bytes`);
    } else throw new FrameError(`a frame of kind ${kind}`);
    return { kind, file, length };
  }

  #piece(): Frame | null {
    const first = this.#queue[0];
    if (first === undefined) return null;
    const bytes = this.#take(Math.min(first.length, this.#chunk.left));
    this.#chunk.left -= bytes.length;
    return { kind: 'bytes', file: this.#chunk.file, bytes };
  }

  #peek(length: number): Buffer {
    const first = this.#queue[0];
    if (first !== undefined && first.length >= length) return first.subarray(0, length);
    const bytes = this.#take(length);
    this.#queue.unshift(bytes);
    this.queued += bytes.length;
    return bytes;
  }

  /** Removes bytes from the front; copies only when they lie in more than one buffer. */
  #take(length: number): Buffer {
    const parts: Buffer[] = [];
    let missing = length;
    while (missing > 0) {
      const first = this.#queue.shift();
      if (first === undefined) throw new FrameError('too few bytes');
      parts.push(first.subarray(0, missing));
      if (first.length > missing) this.#queue.unshift(first.subarray(missing));
      missing -= Math.min(first.length, missing);
    }
    this.queued -= length;
    const [only] = parts;
    return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts);
  }
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new FrameError('a message that is no JSON');
  }
}
