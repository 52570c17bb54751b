import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  AgentsService,
  answer,
  NUMBER,
  PATIENT,
  speak,
  startService as start,
} from './support/agents-service.ts';
import { answering, hanging, hookReceiver } from './support/hook-receiver.ts';
import { McpHost } from './support/mcp-host.ts';
import { calls, type Step, says } from './support/scripted-model.ts';

/** Functions that the agents file names, in whole calls: what the model asks for reaches them, and it hears of it. */

async function mcpHost(options: Parameters<typeof McpHost.start>[0] = {}): Promise<McpHost> {
  const host = await McpHost.start(options);
  onTestFinished(() => host[Symbol.asyncDispose]());
  return host;
}

const PROGRAM = fileURLToPath(new URL('./support/mcp-program.mjs', import.meta.url));

const agents = (listed: string, tools: string): string => `
agents:
  booking: { instructions: You answer., greeting: "Hello.", tools: [${listed}], silence: false }
numbers: [{ number: "${NUMBER}", agent: booking }]
tools:
${tools.replace(/^/gm, '  ')}
`;

/** The model calls a function once, and says what came of it. */
const once = (name: string, args: object, callId = 'call_1'): readonly Step[] => [
  calls(name, args, callId),
  (turn) => says(answer(turn)),
];

/** Names of the functions that a model was offered. */
async function offered(on: AgentsService, index: number): Promise<readonly string[]> {
  return (await on.session(index)).session.tools.map(({ name }) => String(name));
}

/** Resolves when `isSo`, looked at whenever somebody calls and is gone again. */
async function whenCallsSee(on: AgentsService, isSo: (tools: readonly string[]) => boolean): Promise<void> {
  for (;;) {
    const call = await on.connected();
    const tools = await offered(on, on.openai.connections.length - 1);
    await call.hangUp();
    if (isSo(tools)) return;
  }
}

describe('a function by HTTP', () => {
  const http = (host: string, more = ''): string => `
hosts: [{ host: "${host}", private: true }]
redact: [card]
http:
  order_status:
    description: Where an order is.
    parameters: { type: object, properties: { id: { type: string }, card: { type: string } }, required: [id] }
    method: POST
    url: http://${host}/orders/{id}
    query: { from: "{{caller}}" }
    headers: { authorization: "Bearer \${ORDERS_TOKEN}" }
    body: { card: "{card}", language: de }${more}`;

  it('is asked with what the model says, and the answer is told and spoken', async () => {
    const service = await hookReceiver(
      answering(200, { state: 'shipped' }, { 'content-type': 'application/json' }),
    );
    const on = await start({
      agents: agents('order_status', http(service.host)),
      env: { ORDERS_TOKEN: 'very-secret' },
      model: once('order_status', { id: 'A 1', card: '4111111111111111' }),
    });
    const call = await on.connected();
    await speak(call);
    await on.says('shipped');
    const asked = await service.nth(1);
    expect(asked.path).toBe('/orders/A%201?from=%2B15550100123');
    expect(asked.headers).toMatchObject({
      authorization: 'Bearer very-secret',
      'idempotency-key': `${call.callId}:call_1`,
    });
    expect(JSON.parse(asked.body)).toEqual({ card: '4111111111111111', language: 'de' });
    const told = await on.event('tool');
    expect(told).toMatchObject({
      name: 'order_status',
      outcome: 'done',
      args: { id: 'A 1', card: '[redacted]' },
      idempotencyKey: `${call.callId}:call_1`,
    });
    expect(JSON.stringify(on.log)).not.toMatch(/very-secret|4111111111111111|5550100123/);
    await call.untilHeard(100);
    const metrics = await on.metrics();
    expect(metrics).toContain('patchcord_tool_calls_total{tool="order_status",outcome="done"} 1');
    expect(metrics).toMatch(/patchcord_tokens_total\{model="openai\/[\w.-]+",kind="outputAudio"\} [1-9]/);
    await call.hangUp();
    expect(service.received).toHaveLength(1);
  });

  it('is given up when the caller hangs up', async () => {
    const service = await hookReceiver(hanging);
    const on = await start({
      agents: agents('order_status', http(service.host)),
      env: { ORDERS_TOKEN: 'very-secret' },
      model: once('order_status', { id: 'A1' }),
    });
    const call = await on.connected();
    await speak(call);
    const { response } = await service.nth(1);
    const gone = new Promise((resolve) => response.on('close', resolve));
    await call.hangUp();
    await gone;
    expect(await on.event('tool')).toMatchObject({ outcome: 'cancelled' });
    expect(on.events.at(-1)?.type).toBe('ended');
  });

  it('that fails is told to the model in words, without the address', async () => {
    const service = await hookReceiver(answering(500, 'stack trace'));
    const on = await start({
      agents: agents('order_status', http(service.host)),
      env: { ORDERS_TOKEN: 'very-secret' },
      model: once('order_status', { id: 'A1' }),
    });
    const call = await on.connected();
    await speak(call);
    expect(await on.event('tool')).toMatchObject({ outcome: 'failed', isError: true });
    await on.says('500');
    const [told] = (await on.session()).items.filter(({ type }) => type === 'function_call_output');
    expect(String(told?.['output'])).not.toMatch(/very-secret/);
    await call.hangUp();
  });

  it('whose secret is missing keeps the service from starting, by its name', async () => {
    const made = AgentsService.start({ agents: agents('order_status', http('127.0.0.1:1')) });
    await expect(made).rejects.toThrow(/BAD_CONFIG: .*ORDERS_TOKEN/s);
  });
});

describe('functions of an MCP server', () => {
  const program = (...args: readonly string[]): string =>
    `mcp:\n  crm: { command: node, args: [${[PROGRAM, 'well', ...args].map((arg) => JSON.stringify(arg)).join(', ')}], prefix: crm_, tools: [greet, le*, learnt, "x*"] }`;

  it('that is a program are offered by the names that are wanted, and run', async () => {
    const on = await start({
      agents: agents('crm/*, crm/gret', `redact: [name]\n${program()}`),
      model: once('crm_greet', { name: 'Ms Caller' }),
    });
    const call = await on.connected();
    expect(await offered(on, 0)).toEqual(['crm_greet', 'crm_learn']);
    expect(await on.logged('a function that an agent lists is not there')).toMatchObject({
      mcp: 'crm',
      tool: 'gret',
    });
    await speak(call);
    await on.says('Hello Ms Caller');
    expect(await on.event('tool')).toMatchObject({
      name: 'crm_greet',
      args: { name: '[redacted]' },
      outcome: 'done',
      idempotencyKey: `${call.callId}:call_1`,
    });
    await call.hangUp();
  });

  it('by streamable HTTP are offered and run, with the key of the invocation', async () => {
    const host = await mcpHost();
    const on = await start({
      agents: agents(
        'docs/greet, docs/meta',
        `mcp: { docs: { url: "${host.url}", headers: { authorization: "Bearer \${DOCS}" } } }`,
      ),
      env: { DOCS: 'docs-secret' },
      model: once('meta', {}),
    });
    const call = await on.connected();
    expect(await offered(on, 0)).toEqual(['greet', 'meta']);
    await speak(call);
    expect((await on.event('tool')).outcome).toBe('done');
    const request = host.requests.find(({ body }) => body.includes('tools/call'));
    expect(request?.headers['authorization']).toBe('Bearer docs-secret');
    expect(request?.body).toContain(`${call.callId}:call_1`);
    expect(JSON.stringify(on.log)).not.toContain('docs-secret');
    await call.hangUp();
  });

  it('that come to be known later are there for the calls after', async () => {
    const on = await start({
      agents: agents('crm/*', program()),
      model: (connection) => (connection === 0 ? once('crm_learn', {}) : [says('Hm.')]),
    });
    const call = await on.connected();
    await speak(call);
    await on.says('done');
    await whenCallsSee(on, (tools) => tools.includes('crm_learnt'));
    // The call that is up keeps to what its model was told.
    expect(await offered(on, 0)).toEqual(['crm_greet', 'crm_learn']);
    await call.hangUp();
  });

  it('keep their program when the file changes elsewhere, and get another one when their entry does', async () => {
    const greets = once('crm_greet', { name: 'Ms Caller' });
    const on = await start({
      agents: agents('crm/*', program()),
      model: [...greets, calls('crm_greet', { name: 'Ms Caller' }, 'call_2'), (turn) => says(answer(turn))],
    });
    const pidOf = async (callId: string, nth: number): Promise<string | undefined> => {
      const said = (): readonly string[] =>
        on.events.flatMap((event) =>
          event.type === 'transcript' && event.final && event.callId === callId && /says \d+/.test(event.text)
            ? [event.text]
            : [],
        );
      await on.event('transcript', () => said().length >= nth);
      return /says (\d+)/.exec(said()[nth - 1] ?? '')?.[1];
    };
    const old = await on.connected();
    await speak(old);
    const first = await pidOf(old.callId, 1);
    await on.rewrite(agents('crm/*', program()).replace('You answer.', 'You answer well.'));
    const same = await on.connected();
    await speak(same);
    expect(await pidOf(same.callId, 1)).toBe(first);
    await same.hangUp();
    await on.rewrite(agents('crm/*', program('xtra')));
    const young = await on.connected();
    expect(await offered(on, 2)).toEqual(['crm_greet', 'crm_learn', 'crm_xtra']);
    await speak(young);
    const second = await pidOf(young.callId, 1);
    expect(second).not.toBe(first);
    // The first program lives as long as the call that has it.
    await speak(old);
    expect(await pidOf(old.callId, 2)).toBe(first);
    expect(isAlive(first)).toBe(true);
    await old.hangUp();
    await expect.poll(() => isAlive(first), PATIENT).toBe(false);
    await young.hangUp();
    await on.bridge.close();
    expect(isAlive(second)).toBe(false);
  });

  it('whose server is not there keep nobody from starting, and no call from being answered', async () => {
    const on = await start({
      agents: agents('crm/*, end_call', 'mcp: { crm: { command: ./there-is-no-such-program } }'),
    });
    const call = await on.connected();
    expect(await offered(on, 0)).toEqual(['end_call']);
    expect(on.log.some(({ level, mcp }) => level >= 40 && mcp === 'crm')).toBe(true);
    await call.hangUp();
  });

  it('whose server takes its time do not keep the service from stopping', async () => {
    const on = await start({ agents: agents('end_call', 'redact: [card]'), model: [] });
    const mute = `mcp: { crm: { command: node, args: [${JSON.stringify(PROGRAM)}, mute] } }`;
    on.folder.write('agents.yaml', agents('crm/*, end_call', mute));
    await expect.poll(() => on.log.some(({ mcp }) => mcp === 'crm'), PATIENT).toBe(true);
    await on.bridge.close();
    // That would be said after its 10 s.
    expect(on.lines('mcp server does not come up')).toEqual([]);
  });
});

function isAlive(pid: string | undefined): boolean {
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch {
    return false;
  }
}
