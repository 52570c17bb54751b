import { createHmac, timingSafeEqual } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import express, { type Request, type Response } from 'express';

/**
 * The smallest service that one would dare to put on the internet: a signature that is checked, and the same document for
 * everybody. No calls, no provider.
 */
const secret = process.argv[2] ?? '';
const DOCUMENT =
  '<?xml version="1.0" encoding="UTF-8"?><Response><Connect><Stream url="wss://example.com/media">' +
  '<Parameter name="call" value="CA0"/></Stream></Connect></Response>';

const app = express();
app.use(express.urlencoded({ extended: false }));
app.post('/voice/twilio', (request, response) => answer(request, response, DOCUMENT));
app.post('/status/twilio', (request, response) => answer(request, response, ''));
const server = app.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`listening on http://127.0.0.1:${port}\n`);
});

function answer(request: Request, response: Response, document: string): void {
  const fields = request.body as Readonly<Record<string, string>>;
  const url = `http://${request.headers.host}${request.originalUrl}`;
  const signed = Object.keys(fields)
    .sort()
    .reduce((text, name) => text + name + fields[name], url);
  const wanted = createHmac('sha1', secret).update(signed).digest();
  const found = Buffer.from(request.get('x-twilio-signature') ?? '', 'base64');
  if (found.length !== wanted.length || !timingSafeEqual(found, wanted)) response.status(403).end();
  else response.type('text/xml').send(document);
}
