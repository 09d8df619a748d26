import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeMessage, FrameParser, HEADER_BYTES, MAX_CHUNK_BYTES, writeChunkHeader } from './frames.ts';
import type { Frame } from './frames.ts';

type Message = Readonly<Record<string, unknown>>;
type Piece = [number, string];

const LIMITS = { messageBytes: 1000, chunks: true };

function chunk(file: number, bytes: Buffer): Buffer {
  const frame = Buffer.concat([Buffer.alloc(HEADER_BYTES), bytes]);
  writeChunkHeader(frame, file, bytes.length);
  return frame;
}

/** Feeds a stream in pieces and returns its frames, the pieces of a chunk joined. */
function parse(stream: Buffer, cuts: readonly number[]): (Message | Piece)[] {
  const parser = new FrameParser(LIMITS);
  const frames: Frame[] = [];
  const bounds = [0, ...cuts.map((cut) => cut % (stream.length + 1)).sort((a, b) => a - b), stream.length];
  for (let i = 1; i < bounds.length; i += 1) {
    parser.push(stream.subarray(bounds[i - 1], bounds[i]));
    for (let frame = parser.next(); frame !== null; frame = parser.next()) frames.push(frame);
  }
  expect(parser.atBoundary).toBe(true);
  return joined(frames);
}

const isPiece = (frame: Message | Piece | undefined): frame is Piece => Array.isArray(frame);

function joined(frames: readonly Frame[]): (Message | Piece)[] {
  const all: (Message | Piece)[] = [];
  for (const frame of frames) {
    const last = all.at(-1);
    if (frame.kind === 'message') all.push(frame.body as Message);
    else if (isPiece(last) && last[0] === frame.file) last[1] += frame.bytes.toString('hex');
    else all.push([frame.file, frame.bytes.toString('hex')]);
  }
  return all;
}

const anyFrame = fc.oneof(
  fc.record({ type: fc.string({ maxLength: 20 }), n: fc.integer() }),
  fc.tuple(fc.nat({ max: 0xffffffff }), fc.uint8Array({ minLength: 1, maxLength: 300 })),
);

describe('frames', () => {
  it('arrive the same however the network cuts the stream', () => {
    fc.assert(
      fc.property(
        fc.array(anyFrame, { maxLength: 8 }),
        fc.array(fc.nat(), { maxLength: 20 }),
        (frames, cuts) => {
          const separated = frames.flatMap((frame) => [frame, { type: 'between', n: 0 }]);
          const encode = (frame: (typeof separated)[number]) =>
            Array.isArray(frame) ? chunk(frame[0], Buffer.from(frame[1])) : encodeMessage(frame);
          const expected = separated.map((frame) =>
            Array.isArray(frame) ? [frame[0], Buffer.from(frame[1]).toString('hex')] : { ...frame },
          );
          expect(parse(Buffer.concat(separated.map(encode)), cuts)).toEqual(expected);
        },
      ),
    );
  });

  const header = (changes: Readonly<Record<number, number>>): Buffer => {
    const bytes = encodeMessage({ type: 'x' });
    for (const [at, value] of Object.entries(changes)) bytes[Number(at)] = value;
    return bytes;
  };
  const oversized = Buffer.alloc(HEADER_BYTES);
  writeChunkHeader(oversized, 0, MAX_CHUNK_BYTES + 1);
  it.each([
    ['another version', header({ 0: 2 }), 'version 2'],
    ['an unknown kind', header({ 1: 3 }), 'kind 3'],
    ['bits that mean nothing', header({ 2: 1 }), 'malformed'],
    ['a message over the limit', encodeMessage({ text: 'x'.repeat(1000) }), 'message of'],
    ['a message that is no JSON', header({ [HEADER_BYTES]: 0 }), 'no JSON'],
    ['a chunk over the limit', oversized, 'chunk of'],
    ['an empty chunk', chunk(0, Buffer.alloc(0)), 'chunk of 0'],
  ])('refuses %s', (_what, bytes, reason) => {
    const parser = new FrameParser(LIMITS);
    parser.push(bytes);
    expect(() => parser.next()).toThrow(reason);
  });

  it('refuses file bytes where none are expected, before they arrive', () => {
    const parser = new FrameParser({ messageBytes: 1000, chunks: false });
    parser.push(chunk(1, Buffer.alloc(10)).subarray(0, HEADER_BYTES));
    expect(() => parser.next()).toThrow('none are expected');
  });

  it('says that the stream must not end inside a frame', () => {
    const parser = new FrameParser(LIMITS);
    parser.push(chunk(1, Buffer.alloc(10)).subarray(0, HEADER_BYTES + 4));
    parser.next();
    expect(parser.next()).toBeNull();
    expect(parser.atBoundary).toBe(false);
  });

  it('gives back what was not framed', () => {
    const parser = new FrameParser(LIMITS);
    parser.push(Buffer.concat([encodeMessage({ type: 'last' }), Buffer.from('raw')]));
    parser.next();
    expect(parser.rest().toString()).toBe('raw');
  });
});
