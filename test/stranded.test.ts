import { describe, expect, it } from 'vitest';
import { type Agent, LAST_RESORT } from '../src/agents.ts';
import { afterToken, PublicAddresses } from '../src/call-urls.ts';
import type { AfterStream, IncomingCall } from '../src/carrier.ts';
import type { AfterStreamEvent } from '../src/last-word.ts';
import { createLog } from '../src/log.ts';
import type { Roster } from '../src/roster.ts';
import { Stranded } from '../src/stranded.ts';
import { COMMANDS, createKit, type KitOptions, refused } from './support/call-kit.ts';

/** Calls that are up and that nobody here knows. */

const say = (text: string): AfterStream => ({ type: 'say', text, language: undefined });
const PUT_THROUGH: AfterStream = {
  type: 'transfer',
  to: '+14155550177',
  callerId: undefined,
  ringS: 20,
  announce: undefined,
  language: undefined,
};

/** Agents by name; a number is routed to the agent that `numbers` says. */
function stranded(
  agents: Readonly<Record<string, AfterStream>>,
  numbers: Readonly<Record<string, string>> = {},
  options: KitOptions = {},
) {
  const kit = createKit(options);
  const asked: IncomingCall[] = [];
  const roster: Pick<Roster, 'knows' | 'route' | 'termsFor'> = {
    knows: (name) => Object.hasOwn(agents, name),
    route: (_carrier, call) => {
      asked.push(call);
      const number = call.direction === 'inbound' ? call.to : call.from;
      return { agent: numbers[number], variables: { shop: 'A' }, ordered: {}, ask: undefined };
    },
    termsFor: (name, _carrier, call) => {
      const lastResort = agents[name];
      if (lastResort === undefined) return undefined;
      const terms = kit.termsFor(call);
      const agent: Agent = { ...terms.agent, lastResort };
      return { ...terms, agent };
    },
  };
  const given: string[] = [];
  const one = new Stranded({
    roster,
    addresses: new PublicAddresses(() => 'https://bridge.test'),
    log: createLog('silent'),
    onGiven: ({ type }) => given.push(type),
  });
  const event = (more: Partial<AfterStreamEvent> = {}): AfterStreamEvent => ({
    type: 'after-stream',
    callId: 'CA9',
    ended: false,
    transfer: undefined,
    ...more,
  });
  const documents: unknown[] = [];
  kit.carrier.document = (next, urls) => {
    documents.push({ next, urls });
    return { status: 200, contentType: 'text/xml', body: next.type };
  };
  const never = new AbortController().signal;
  return { kit, one, event, given, asked, documents, never };
}

const TOKEN = afterToken('x'.repeat(32), 'night & day');

describe('a caller whom nobody knows, in document style', () => {
  it('gets what the agent of the address gives, whatever the number says', () => {
    const at = stranded({ 'night & day': say('Night.'), day: say('Day.') }, { '+14155550101': 'day' });
    const parties = { from: '+14155550100', to: '+14155550101', direction: 'inbound' } as const;
    at.one.after(at.kit.carrier, at.event({ parties }), `${TOKEN}.keys`);
    expect(at.documents).toMatchObject([{ next: say('Night.') }]);
    at.one.after(at.kit.carrier, at.event({ parties }), 'of-an-older-version');
    at.one.after(at.kit.carrier, at.event({ parties }), afterToken('x'.repeat(32), 'gone'));
    expect(at.documents.slice(1)).toMatchObject([{ next: say('Day.') }, { next: say('Day.') }]);
    expect(at.given).toEqual(['say', 'say', 'say']);
  });

  it('gets that of our own number, also when we placed the call', () => {
    const at = stranded({ day: say('Day.') }, { '+14155550101': 'day' });
    const parties = { from: '+14155550101', to: '+14155550100', direction: 'outbound' } as const;
    at.one.after(at.kit.carrier, at.event({ parties }), undefined);
    expect(at.documents).toMatchObject([{ next: say('Day.') }]);
  });

  it('gets an apology where nobody can be found, and where looking fails', () => {
    const at = stranded({ day: say('Day.') });
    at.one.after(at.kit.carrier, at.event(), undefined);
    const broken = new Stranded({
      roster: {
        knows: () => true,
        route: () => {
          throw new Error('a mistake');
        },
        termsFor: () => undefined,
      },
      log: createLog('silent'),
    });
    broken.after(at.kit.carrier, at.event(), TOKEN);
    expect(at.documents).toMatchObject([{ next: LAST_RESORT }, { next: LAST_RESORT }]);
  });

  it('is not rung for again by a transfer that came to nothing', () => {
    const at = stranded({ 'night & day': PUT_THROUGH });
    at.one.after(at.kit.carrier, at.event(), TOKEN);
    at.one.after(at.kit.carrier, at.event({ transfer: 'no-answer' }), TOKEN);
    expect(at.documents).toMatchObject([
      { next: PUT_THROUGH, urls: { afterUrl: `https://bridge.test/after/twilio/${TOKEN}` } },
      { next: LAST_RESORT },
    ]);
  });

  it.each([{ ended: true }, { transfer: 'completed' }, { messageLeft: true }] as const)(
    'is owed nothing more after %j',
    (more) => {
      const at = stranded({ 'night & day': say('Night.') });
      at.one.after(at.kit.carrier, at.event(more), TOKEN);
      expect(at.documents).toMatchObject([{ next: { type: 'hang-up' } }]);
      expect(at.given).toEqual([]);
    },
  );
});

describe('a caller whom nobody knows, in command style', () => {
  const call = { callId: 'CA9', control: 'command', data: { leg: 'L9' } } as const;
  const style: KitOptions = { control: 'command', capabilities: COMMANDS };

  it('is led to the end once, however often the stream is told to be over', async () => {
    const at = stranded({ day: say('Day.') }, {}, style);
    for (let i = 0; i < 3; i++) {
      await at.one.after(at.kit.carrier, at.event({ call, agent: 'day' }), undefined).action?.(at.never);
    }
    expect(at.kit.carrier.calls).toMatchObject([{ what: 'direct', next: say('Day.') }]);
    expect(at.asked).toMatchObject([{ callId: 'CA9', control: 'command' }]);
    await at.one.after(at.kit.carrier, at.event({ call, spoken: true }), undefined).action?.(at.never);
    expect(at.kit.carrier.calls.map(({ what }) => what)).toEqual(['direct', 'hangUp']);
  });

  it('is hung up where the agent says so, or where nothing else can be had', async () => {
    const direct = () => Promise.resolve(refused());
    const at = stranded(
      { day: { type: 'hang-up' }, night: say('Night.') },
      {},
      { ...style, parts: { direct } },
    );
    await at.one.after(at.kit.carrier, at.event({ call, agent: 'day' }), undefined).action?.(at.never);
    const other = { ...call, callId: 'CA8' };
    const event = at.event({ call: other, callId: 'CA8', agent: 'night' });
    await at.one.after(at.kit.carrier, event, undefined).action?.(at.never);
    expect(at.kit.carrier.calls.map(({ what }) => what)).toEqual(['hangUp', 'direct', 'hangUp']);
    expect(at.given).toEqual(['say']);
  });

  it('is not remembered for ever', () => {
    const at = stranded({ day: say('Day.') }, {}, style);
    const isLed = (n: number): boolean => {
      const event = at.event({ callId: `CA${n}`, call: { ...call, callId: `CA${n}` }, agent: 'day' });
      return at.one.after(at.kit.carrier, event, undefined).action !== undefined;
    };
    for (let n = 0; n < 10_000; n++) isLed(n);
    expect(isLed(0)).toBe(false);
    expect(isLed(10_000)).toBe(true);
    expect([isLed(1), isLed(0)]).toEqual([false, true]);
  });

  it('hears an apology when nobody is reached, and not when somebody is', async () => {
    const at = stranded({}, {}, style);
    const news = { type: 'transfer', callId: 'CA9', outcome: 'busy', call } as const;
    await at.one.transfer(at.kit.carrier, { ...news, status: 'failed' }).action?.(at.never);
    expect(at.kit.carrier.calls).toMatchObject([{ what: 'direct', next: LAST_RESORT }]);
    expect(at.one.transfer(at.kit.carrier, { ...news, status: 'answered' }).action).toBeUndefined();
    expect(
      at.one.transfer(at.kit.carrier, { ...news, status: 'failed', call: undefined }).action,
    ).toBeUndefined();
  });
});
