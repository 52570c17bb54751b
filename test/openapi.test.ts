import { describe, expect, it } from 'vitest';
import { CallDesk } from '../src/call-desk.ts';
import { PublicAddresses } from '../src/call-urls.ts';
import { describeApi } from '../src/calls-api/openapi.ts';
import { CALL_OPERATIONS, SERVICE_OPERATIONS } from '../src/calls-api/operations.ts';
import { ANSWERS, REQUESTS } from '../src/calls-api/shapes.ts';
import { createCallsApi } from '../src/calls-api.ts';
import { createLog } from '../src/log.ts';
import { createMetrics } from '../src/metrics.ts';
import { createOperators } from '../src/operators.ts';
import type { SessionManager } from '../src/session-manager.ts';
import { API_TOKEN, checkDescribed, FROM, operatedService, TO } from './support/operator.ts';
import { VirtualClock } from './support/virtual-clock.ts';

interface Described {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, DescribedOperation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
}

interface DescribedOperation {
  readonly operationId: string;
  readonly security: readonly object[];
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly required: boolean }[];
  readonly requestBody?: unknown;
  readonly responses: Readonly<Record<string, { readonly description: string }>>;
}

const DESCRIPTION = describeApi() as unknown as Described;

function operations(): (readonly [path: string, method: string, operation: DescribedOperation])[] {
  return Object.entries(DESCRIPTION.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => [path, method, operation] as const),
  );
}

/** The routers as the service has them, without a service around them. */
function routers(): readonly Layer[] {
  const clock = new VirtualClock();
  const log = createLog('silent');
  const metrics = createMetrics();
  const manager = { size: 0, draining: false, hasRoom: true } as SessionManager;
  const desk = new CallDesk({
    clock,
    log,
    metrics,
    carriers: new Map(),
    addresses: new PublicAddresses(() => 'https://bridge.test'),
    agentName: () => 'agent',
    agents: () => ['agent'],
    manager: () => manager,
  });
  const breakers = { report: () => [] };
  const limits = { maxCalls: 1, maxCallMs: 60_000 };
  const deps = { desk, manager, breakers, clock, log, metrics, token: 'x', ...limits };
  const all = [createOperators(deps).router, createCallsApi(deps)];
  return all.map((router) => ({ handle: router as unknown as NonNullable<Layer['handle']> }));
}

interface Layer {
  readonly route?: { readonly path: string; readonly methods: Readonly<Record<string, boolean>> } | undefined;
  readonly handle?: { readonly stack?: readonly Layer[] };
}

/** `method /path` of every route, those of routers within it too; without the ones that only refuse other methods. */
function routesOf(stack: readonly Layer[]): string[] {
  return stack.flatMap(({ route, handle }) => {
    if (route === undefined) return routesOf(handle?.stack ?? []);
    const methods = Object.keys(route.methods).filter((method) => method !== '_all');
    return methods.map((method) => `${method} ${route.path.replace(/:(\w+)/g, '{$1}')}`);
  });
}

describe('the description', () => {
  it('has the routes that there are, no more and no fewer', () => {
    const described = operations().map(([path, method]) => `${method} ${path}`);
    const there = routesOf(routers());
    expect(there).toHaveLength(13);
    expect(there.toSorted()).toEqual(described.toSorted());
  });

  it('is served to everybody, with a token set or not', async () => {
    for (const token of ['', API_TOKEN]) {
      const { url } = await operatedService({ API_TOKEN: token });
      const response = await fetch(`${url}/openapi.json`);
      expect(response.headers.get('content-type')).toMatch(/^application\/json/);
      expect(await response.json()).toEqual(JSON.parse(JSON.stringify(DESCRIPTION)));
    }
  });

  it('is OpenAPI 3.1 that refers to nothing that is not in it, and has nothing that is not used', () => {
    expect(DESCRIPTION.openapi).toBe('3.1.0');
    const text = JSON.stringify(DESCRIPTION);
    const used = new Set([...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name));
    // Events come as a stream, whose single events no schema of the answer can name.
    used.add('CallEvent');
    expect([...used].toSorted()).toEqual(Object.keys(DESCRIPTION.components.schemas).toSorted());
    const ids = operations().map(([, , { operationId }]) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('has every parameter of every path, and says what each answer means', () => {
    for (const [path, , { parameters = [], responses }] of operations()) {
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      expect(parameters.filter((one) => one.in === 'path').map(({ name }) => name)).toEqual(named);
      for (const { description } of Object.values(responses)) expect(description).toMatch(/^[A-Z].*\.$/s);
    }
  });

  it('asks for the token where the service does', () => {
    for (const [path, , { security }] of operations()) {
      const wanted = path.startsWith('/calls')
        ? [{ token: [] }]
        : path === '/metrics'
          ? [{ token: [] }, {}]
          : [];
      expect([path, security]).toEqual([path, wanted]);
    }
  });

  it('has examples that are what they are examples of', () => {
    for (const [name, schema] of Object.entries({ ...REQUESTS, ...ANSWERS })) {
      const examples = schema.meta()?.['examples'];
      for (const example of Array.isArray(examples) ? examples : []) {
        expect([name, schema.safeParse(example)]).toEqual([name, expect.objectContaining({ success: true })]);
      }
    }
  });

  it('takes defaults for granted in requests', () => {
    expect(DESCRIPTION.components.schemas['PlaceCall']).toMatchObject({
      required: ['to', 'from'],
      additionalProperties: false,
      properties: { ringSeconds: { default: 40, minimum: 5, maximum: 600, type: 'integer' } },
    });
    expect(DESCRIPTION.components.schemas['Call']).not.toHaveProperty('additionalProperties');
  });
});

describe('the answers', () => {
  it('of every operation are as described', async () => {
    const on = await operatedService();
    const id = await on.place();
    await on.answer(id);
    const bodies: Readonly<Record<string, unknown>> = {
      placeCall: { to: TO, from: FROM },
      transfer: { to: TO },
      sendDigits: { digits: '1' },
    };
    const statuses: Record<string, number> = {};
    // Hung up at last; and one call is not transferred and has its keys pressed at once.
    const order = Object.entries({ ...SERVICE_OPERATIONS, ...CALL_OPERATIONS }).toSorted(
      ([a], [b]) => Number(a === 'hangUp') - Number(b === 'hangUp'),
    );
    for (const [name, { method, path }] of order) {
      if (name === 'metrics' || name === 'followCall') continue;
      const call = name === 'sendDigits' ? await answered() : id;
      const { status } = await on.ask(method.toUpperCase(), path.replace(':id', call), {
        body: bodies[name],
      });
      statuses[name] = status;
    }
    expect(statuses).toEqual({
      health: 200,
      readiness: 200,
      describe: 200,
      placeCall: 201,
      listCalls: 200,
      showCall: 200,
      transfer: 202,
      sendDigits: 202,
      startRecording: 200,
      stopRecording: 200,
      hangUp: 202,
    });
    async function answered(): Promise<string> {
      const other = await on.place();
      await on.answer(other);
      return other;
    }
  });

  it('that are no JSON have the type that is described', async () => {
    const on = await operatedService();
    const id = await on.place();
    await on.ask('POST', `/calls/${id}/hang-up`);
    const headers = { authorization: `Bearer ${API_TOKEN}` };
    for (const path of ['/metrics', `/calls/${id}/events`]) {
      const response = await fetch(`${on.url}${path}`, { headers });
      const template = path.replace(id, '{id}');
      const described = DESCRIPTION.paths[template]?.['get']?.responses['200'] as unknown as {
        content: object;
      };
      const [type = ''] = Object.keys(described.content);
      expect(response.headers.get('content-type')).toContain(type);
      const text = await response.text();
      if (path === '/metrics') continue;
      for (const [, data = ''] of text.matchAll(/^id: .*\nevent: .*\ndata: (.*)$/gm)) {
        expect(ANSWERS.CallEvent.safeParse(JSON.parse(data)).success).toBe(true);
      }
    }
    expect((await on.ask('GET', '/metrics', { headers: { authorization: 'Bearer no' } })).status).toBe(401);
  });

  it('that are not as described are found out by these tests', () => {
    const check = (status: number, answer: unknown) => () =>
      checkDescribed({ ...DESCRIPTION }, 'GET', '/calls/call_1', status, answer);
    expect(check(418, {})).toThrow('418 is not described');
    expect(check(404, { error: { code: 'NOT_FOUND', message: 'x' } })).toThrow('not as described');
    expect(check(404, { error: { code: 'NOT_FOUND', message: 'x', retry: false, more: 1 } })).toThrow('more');
    expect(check(404, { error: { code: 'NOT_FOUND', message: 'x', retry: false } })).not.toThrow();
  });
});
