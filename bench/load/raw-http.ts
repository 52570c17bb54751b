import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

const HEAD_END = '\r\n\r\n';

/** An answer to a request that was made by hand. */
export interface RawAnswer {
  readonly status: number;
  readonly body: string;
}

/** Posts a form. Rejects when the connection fails or closes early. */
export function postForm(
  address: URL,
  fields: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>>,
): Promise<RawAnswer> {
  const body = new URLSearchParams(fields).toString();
  const lines = [
    `POST ${address.pathname}${address.search} HTTP/1.1`,
    `Host: ${address.host}`,
    'Connection: close',
    'User-Agent: TwilioProxy/1.1',
    'Content-Type: application/x-www-form-urlencoded; charset=UTF-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address.hostname, port: Number(address.port), noDelay: true });
    let read = '';
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the connection closed before there was an answer')));
    socket.on('data', (chunk: Buffer) => {
      read += chunk.toString('utf8');
      const answer = wholeAnswer(read);
      if (answer === undefined) return;
      resolve(answer);
      socket.destroy();
    });
    socket.write(`${lines.join('\r\n')}${HEAD_END}${body}`);
  });
}

/** Documents are short ASCII, so characters are bytes. */
function wholeAnswer(read: string): RawAnswer | undefined {
  const end = read.indexOf(HEAD_END);
  if (end < 0) return undefined;
  const head = read.slice(0, end);
  const body = read.slice(end + HEAD_END.length);
  const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
  if (body.length < length) return undefined;
  return { status: Number(head.split(' ', 2)[1]), body: body.slice(0, length) };
}

/** Bytes that are read at once; a carrier's message has 300. */
const READ_BYTES = 16_384;

/** An open WebSocket. */
export interface Upgraded {
  readonly socket: Socket;
  /** From now on everything that comes goes there; the bytes are only there during the call. */
  listen(onData: (chunk: Buffer) => void): void;
}

/** Opens a WebSocket. Rejects with the status when it is refused. */
export function upgrade(address: URL, headers: Readonly<Record<string, string>>): Promise<Upgraded> {
  const lines = [
    `GET ${address.pathname}${address.search} HTTP/1.1`,
    `Host: ${address.host}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
    'User-Agent: Twilio.TmeWs/1.0',
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  return new Promise((resolve, reject) => {
    let read = '';
    let onData = (chunk: Buffer): void => {
      read += chunk.toString('latin1');
      const end = read.indexOf(HEAD_END);
      if (end < 0) return;
      socket.off('error', reject);
      socket.off('close', onClose);
      const status = Number(read.split(' ', 2)[1]);
      if (status === 101) {
        resolve({ socket, listen });
        return;
      }
      socket.destroy();
      reject(new Error(`the media socket was answered with HTTP ${status}`));
    };
    const listen = (listener: (chunk: Buffer) => void): void => {
      onData = listener;
      const rest = read.slice(read.indexOf(HEAD_END) + HEAD_END.length);
      if (rest !== '') listener(Buffer.from(rest, 'latin1'));
    };
    const onClose = (): void => reject(new Error('the connection closed during the upgrade'));
    const socket = connect({
      host: address.hostname,
      port: Number(address.port),
      noDelay: true,
      // Without streams, and without a new buffer for every message.
      onread: {
        buffer: Buffer.alloc(READ_BYTES),
        callback: (count, buffer) => {
          onData(buffer.subarray(0, count) as Buffer);
          return true;
        },
      },
    });
    socket.on('error', reject);
    socket.on('close', onClose);
    socket.write(`${lines.join('\r\n')}${HEAD_END}`);
  });
}
