import { createServer } from 'node:http';
import { type RawData, WebSocket, WebSocketServer } from 'ws';

/** What a relay does to audio between the two sides, if anything. */
export interface AudioPath {
  /** Base64 for the provider from base64 of the carrier. */
  up(payload: string): string;
  down(payload: string): string;
}

export interface RelayOptions {
  readonly providerUrl: string;
  /** Of the session at the provider. */
  readonly format: { readonly type: string; readonly rate?: number };
  /** Undefined: the payload as it is. */
  readonly audioPath?: (() => AudioPath) | undefined;
}

/** A relay that runs. */
export interface Relay {
  readonly url: string;
  close(): Promise<void>;
}

type Message = Record<string, never>;

/**
 * The smallest bridge that one can write with `ws`: it moves audio and nothing else. No signatures, no tokens, no marks,
 * no barge-in, no queue, no limits, no failover, no log. Written the way that anybody would write it: what a message
 * costs here is what it costs to take it, read it, write another and send that.
 */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  const http = createServer((request, response) => {
    request.resume();
    response.setHeader('content-type', 'text/xml');
    const url = `ws://${request.headers.host}/media`;
    response.end(`<Response><Connect><Stream url="${url}"/></Connect></Response>`);
  });
  const server = new WebSocketServer({ server: http, perMessageDeflate: false, clientTracking: true });
  server.on('connection', (socket) => relay(socket, options));
  await new Promise<void>((resolve) => {
    http.listen(0, '127.0.0.1', 4096, resolve);
  });
  const address = http.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () => {
      for (const socket of server.clients) socket.terminate();
      http.closeAllConnections();
      return new Promise((resolve) => {
        http.close(() => resolve());
      });
    },
  };
}

function relay(carrier: WebSocket, { providerUrl, format, audioPath }: RelayOptions): void {
  const provider = new WebSocket(providerUrl, { perMessageDeflate: false });
  const path = audioPath?.();
  let streamSid = '';
  let isReady = false;
  const read = (data: RawData): Record<string, Message & string> => JSON.parse(String(data));
  carrier.on('message', (data) => {
    const message = read(data);
    if (message['event'] === 'start') streamSid = message['streamSid'] ?? '';
    if (message['event'] !== 'media' || !isReady) return;
    const payload = String((message['media'] as unknown as Record<string, string>)['payload']);
    const audio = path === undefined ? payload : path.up(payload);
    provider.send(JSON.stringify({ type: 'input_audio_buffer.append', audio }));
  });
  provider.on('message', (data) => {
    const message = read(data);
    if (message['type'] === 'session.updated') {
      isReady = true;
      provider.send(JSON.stringify({ type: 'response.create' }));
    }
    if (message['type'] !== 'response.output_audio.delta' || streamSid === '') return;
    const delta = String(message['delta']);
    const payload = path === undefined ? delta : path.down(delta);
    carrier.send(JSON.stringify({ event: 'media', streamSid, media: { payload } }));
  });
  provider.on('open', () => {
    const session = { type: 'realtime', audio: { input: { format }, output: { format } } };
    provider.send(JSON.stringify({ type: 'session.update', session }));
  });
  carrier.on('close', () => provider.close());
  provider.on('close', () => carrier.close());
  carrier.on('error', () => provider.close());
  provider.on('error', () => carrier.close());
}
