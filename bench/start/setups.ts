import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** One thing whose start is measured: arguments of `node`, and all that it finds in its environment. */
export interface Setup {
  readonly name: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** The smallest programs that answer `/readyz`: what no service of this kind can be faster than. */
export function floors(expressUrl: string): readonly Setup[] {
  const listen = '() => console.log("listening on http://127.0.0.1:" + server.address().port)';
  const plain = `
    import { createServer } from 'node:http';
    const server = createServer((request, response) => response.end('ok')).listen(0, '127.0.0.1', ${listen});`;
  const express = `
    import express from ${JSON.stringify(expressUrl)};
    const app = express();
    app.get('/readyz', (request, response) => response.send('ok'));
    const server = app.listen(0, '127.0.0.1', ${listen});`;
  const run = (name: string, program: string): Setup => ({
    name,
    args: ['--input-type=module', '-e', program],
    env: {},
  });
  return [run('floor: node:http', plain), run('floor: express', express)];
}

const TWILIO = {
  TWILIO_ACCOUNT_SID: `AC${'0'.repeat(32)}`,
  TWILIO_AUTH_TOKEN: '0'.repeat(32),
};
const OTHER_CARRIERS = {
  TELNYX_PUBLIC_KEY: '11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=',
  TELNYX_API_KEY: 'KEY0',
  TELNYX_CONNECTION_ID: '1',
  PLIVO_AUTH_ID: `MA${'X'.repeat(18)}`,
  PLIVO_AUTH_TOKEN: 'b'.repeat(40),
};
const OPENAI = { PROVIDER: 'openai', OPENAI_API_KEY: 'sk-bench' };
const PROVIDERS = {
  PROVIDER: 'openai,gemini,nova,local',
  OPENAI_API_KEY: 'sk-bench',
  GEMINI_API_KEY: 'bench',
  AWS_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: 'AKIABENCH',
  AWS_SECRET_ACCESS_KEY: 'bench',
  AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
};

/** An agents file that has something of everything that is loaded, and asks nobody else at the start. */
const AGENTS = `
timeZone: Europe/Berlin
variables: { business: Bench }
agents:
  reception:
    instructions: You answer the telephone of {{business}}.
    greeting: Hello!
    providers: [openai, gemini, nova, local]
    tools:
      - end_call
      - current_time
      - send_digits
      - name: transfer_call
        destinations: [{ name: desk, to: "+15550100199", description: for complaints }]
      - look_up
  other:
    instructions: You answer the other telephone.
    tools: [end_call]
numbers:
  - { number: "+15550100200", agent: reception }
  - { number: "*", agent: other }
tools:
  hosts: [example.com]
  http:
    look_up:
      description: Looks a booking up.
      parameters: { type: object, properties: { id: { type: string } }, required: [id] }
      method: GET
      url: "https://example.com/bookings/{id}"
webhooks:
  end: { url: "https://example.com/end", secret: "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=" }
prices:
  currency: USD
  providers: { openai: { perMillionTokens: { inputAudio: 32, outputAudio: 64 } } }
`;

/** The configurations whose start is measured, and what takes back what they have left on the disk. */
export function makeServices(cli: string): { readonly services: readonly Setup[]; dispose(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'patchcord-start-'));
  const agentsFile = join(folder, 'agents.yaml');
  writeFileSync(agentsFile, AGENTS);
  const args = [cli, 'serve', '--port', '0', '--host', '127.0.0.1'];
  const everything = {
    ...TWILIO,
    ...OTHER_CARRIERS,
    ...PROVIDERS,
    API_TOKEN: 'bench-token-of-operators',
    AGENTS_FILE: agentsFile,
    DATA_DIR: join(folder, 'data'),
    RECORDING: 'bridge',
    PUBLIC_URL: 'https://voice.example.com',
  };
  const answering = { ...TWILIO, ...OPENAI, PUBLIC_URL: 'https://voice.example.com' };
  const services = [
    { name: 'nothing configured', args, env: {} },
    { name: 'Twilio and OpenAI', args, env: answering },
    { name: 'everything', args, env: everything },
  ];
  return { services, dispose: () => rmSync(folder, { recursive: true, force: true }) };
}
