import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import {
  encodeHeaders,
  encodeMessage,
  MessageReader,
  readMessage,
  type StreamMessage,
} from '../src/sim/nova/event-stream.ts';

const HEADERS = encodeHeaders({ ':event-type': 'chunk', ':message-type': 'event' });

function message(text: string): Buffer {
  return encodeMessage(HEADERS, Buffer.from(text));
}

/** A message with headers as they stand on the wire. */
function withHeaders(headers: Buffer): Buffer {
  return encodeMessage(headers, Buffer.from('x'));
}

function header(name: string, type: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([name.length]), Buffer.from(name), Buffer.from([type]), value]);
}

describe('the event stream', () => {
  it('is written as the specification has it', () => {
    const bytes = message('{}');
    expect(bytes.readUInt32BE(0)).toBe(bytes.length);
    expect(bytes.readUInt32BE(4)).toBe(HEADERS.length);
    expect(bytes.readUInt32BE(8)).toBe(crc32(bytes.subarray(0, 8)));
    expect(bytes.readUInt32BE(bytes.length - 4)).toBe(crc32(bytes.subarray(0, -4)));
    expect(HEADERS.subarray(0, 17).toString('latin1')).toBe('\u000b:event-type\u0007\u0000\u0005ch');
    expect(bytes.subarray(12 + HEADERS.length, -4).toString()).toBe('{}');
  });

  it('is read whole however it is split', () => {
    const texts = ['first', '', 'the third one, which is longer'];
    const whole = Buffer.concat(texts.map(message));
    for (let size = 1; size <= whole.length; size++) {
      const reader = new MessageReader();
      const found: StreamMessage[] = [];
      for (let at = 0; at < whole.length; at += size) {
        reader.push(whole.subarray(at, at + size), (one) => found.push(one));
      }
      expect(found.map(({ payload }) => payload.toString())).toEqual(texts);
      expect(found[0]?.headers.get(':message-type')).toBe('event');
      expect(reader.pending).toBe(0);
    }
  });

  it('knows what is left of a message that is cut', () => {
    const reader = new MessageReader();
    reader.push(message('whole'), () => {});
    reader.push(message('cut').subarray(0, 20), () => {});
    expect(reader.pending).toBe(20);
  });

  it('reads every type of header', () => {
    const date = Buffer.alloc(8);
    date.writeBigInt64BE(1_767_000_000_000n);
    const { headers } = readMessage(
      withHeaders(
        Buffer.concat([
          header('yes', 0, Buffer.alloc(0)),
          header('no', 1, Buffer.alloc(0)),
          header('byte', 2, Buffer.alloc(1)),
          header('short', 3, Buffer.alloc(2)),
          header('int', 4, Buffer.alloc(4)),
          header('long', 5, Buffer.alloc(8)),
          header('bytes', 6, Buffer.from([0, 2, 7, 9])),
          header('text', 7, Buffer.from([0, 2, 0xc3, 0xbc])),
          header('date', 8, date),
          header('uuid', 9, Buffer.alloc(16)),
        ]),
      ),
    );
    expect([...headers.keys()]).toEqual('yes no byte short int long bytes text date uuid'.split(' '));
    expect(headers.get('bytes')).toEqual(Buffer.from([7, 9]));
    expect(headers.get('text')).toBe('ü');
    expect(headers.get('date')).toBe(1_767_000_000_000n);
  });

  it.each([
    ['a payload that was changed', (bytes: Buffer) => bytes.fill(1, 40, 41), 'the checksum does not match'],
    [
      'a length that was changed',
      (bytes: Buffer) => bytes.fill(9, 3, 4),
      'the prelude checksum does not match',
    ],
    ['a message that is cut', (bytes: Buffer) => bytes.subarray(0, -1), 'bytes, wanted'],
    ['less than a prelude', (bytes: Buffer) => bytes.subarray(0, 5), 'found 5 bytes'],
    ['a header without its end', () => withHeaders(Buffer.from([3, 97])), 'a header is cut'],
    [
      'a header that is longer than all',
      () => withHeaders(header('a', 7, Buffer.from([9, 9]))),
      'a header is cut',
    ],
    [
      'a type of header that there is not',
      () => withHeaders(header('a', 10, Buffer.from([0, 0]))),
      'a header of type 10',
    ],
  ])('refuses %s', (_, change, complaint) => {
    expect(() => readMessage(Buffer.from(change(message('payload of this'))))).toThrow(complaint);
  });

  it('refuses lengths that no message has', () => {
    const prelude = (total: number, headers: number): Buffer => {
      const bytes = Buffer.alloc(12);
      bytes.writeUInt32BE(total, 0);
      bytes.writeUInt32BE(headers, 4);
      bytes.writeUInt32BE(crc32(bytes.subarray(0, 8)), 8);
      return bytes;
    };
    const push = (bytes: Buffer) => () => new MessageReader().push(bytes, () => {});
    expect(push(prelude(0xffff_ffff, 0))).toThrow('a message of 4294967295 bytes');
    expect(push(prelude(20, 100))).toThrow('the headers are too long');
  });
});
