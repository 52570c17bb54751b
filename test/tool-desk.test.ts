import { describe, expect, it } from 'vitest';
import { type AudioFormat, MULAW_8K } from '../src/audio/format.ts';
import { createTranscoder } from '../src/audio/transcode.ts';
import type { CallEventBody } from '../src/call-events.ts';
import { connectRequest } from '../src/connect-request.ts';
import { Conversation } from '../src/conversation.ts';
import { Downlink } from '../src/downlink.ts';
import { soleCandidate } from '../src/fallback/candidate.ts';
import { createLog } from '../src/log.ts';
import { Pacer } from '../src/pacer.ts';
import { ToolDesk } from '../src/tool-desk.ts';
import { ToolRunner } from '../src/tool-runner.ts';
import { Transcript } from '../src/transcript.ts';
import { AGENT } from './support/call-kit.ts';
import { callStub } from './support/call-stub.ts';
import { ManualProvider, settled } from './support/manual-provider.ts';
import { slowTool } from './support/slow-tool.ts';
import { VirtualClock } from './support/virtual-clock.ts';
import { VirtualLeg } from './support/virtual-leg.ts';

const FILLER = { afterMs: 2000, texts: ['One moment.'], clip: undefined, everyMs: 8000, atMost: 3 };

const toolCall = (callId: string, args = '{"city":"Ulm"}') =>
  ({ type: 'toolCall', responseId: 'r', callId, name: 'search', args }) as const;

/** A conversation whose provider may be replaced by another. */
function make() {
  const clock = new VirtualClock();
  const pacer = new Pacer(clock);
  const { tool, finish } = slowTool('search');
  const agent = { ...AGENT, tools: [tool], filler: FILLER };
  const over = new AbortController();
  const events: CallEventBody[] = [];
  const leg = new VirtualLeg(clock);
  const conversation = new Conversation({
    call: { callId: 'CA1', from: '+14155550100', to: '+14155550101' },
    agent,
    clock,
    pacer,
    log: createLog('silent'),
    leadMs: 1000,
    leadIn: false,
    machine: { mode: 'report' },
    greetingEndTold: false,
    tools: new ToolRunner({ tools: agent.tools, clock, call: callStub(), signal: over.signal, atOnce: 4 }),
    createTranscoder,
    atMs: () => clock.now(),
    provider: () => 'manual',
    emit: (event) => events.push(event),
    onUsage: () => undefined,
    onOver: () => undefined,
    onProviderStill: () => undefined,
    onFailed: (thrown) => {
      throw thrown;
    },
  });
  leg.onMark = (name) => conversation.acknowledge(name);
  /** One more provider takes over. */
  const join = async (format: AudioFormat = MULAW_8K): Promise<ManualProvider> => {
    const provider = new ManualProvider();
    provider.format = format;
    const request = connectRequest(agent, soleCandidate(provider)[0], MULAW_8K, clock, { history: [] });
    const session = provider.connect(request, (event) => conversation.onProviderEvent(event), over.signal);
    await provider.ready();
    conversation.succession.connect(await session, provider.capabilities, []);
    return provider;
  };
  const close = (): void => {
    conversation.close();
    over.abort();
  };
  return { clock, pacer, conversation, leg, events, finish, join, close };
}

describe('another provider in the middle of a call', () => {
  it('does not greet the caller a second time', async () => {
    const { conversation, leg, join } = make();
    const first = await join();
    conversation.attach(leg);
    first.speak('r', 'a', 2000);
    const second = await join();
    expect(first.said).toEqual(['Hello.']);
    expect(second.said).toEqual([]);
  });

  it('is told the result of what the one before has asked for, with function and arguments, once', async () => {
    const { conversation, leg, join, finish } = make();
    const first = await join();
    conversation.attach(leg);
    conversation.onProviderEvent(toolCall('c1'));
    expect(conversation.transcript.history()).toEqual([]);
    const second = await join();
    await finish('sunny');
    expect(first.results).toEqual([]);
    expect(second.results).toEqual([
      {
        callId: 'c1',
        result: {
          output: 'sunny',
          isError: false,
          respond: true,
          call: { name: 'search', args: '{"city":"Ulm"}' },
        },
      },
    ]);
    expect(conversation.transcript.history()).toHaveLength(1);
    const third = await join();
    expect(third.results).toEqual([]);
  });

  it('lets what the caller is being told play out, and does not wait for the rest of it', async () => {
    const { clock, conversation, leg, join, finish } = make();
    const first = await join();
    conversation.attach(leg);
    first.speak('r1', 'a1', 1000, false);
    clock.advance(300);
    conversation.onProviderEvent(toolCall('c1'));
    const second = await join();
    expect(leg.log).not.toContain('clear');
    clock.advance(800);
    expect(leg.heardBytes).toBe(8000);
    // The line is quiet now: what waits for that goes on.
    await conversation.heard();
    clock.advance(2000);
    expect(second.said).toEqual(['One moment.']);
    await finish('sunny');
    expect(second.results).toHaveLength(1);
  });

  it('may call its responses as the one before did', async () => {
    const { clock, conversation, leg, join } = make();
    const first = await join();
    conversation.attach(leg);
    first.speak('1', 'a1', 1000);
    clock.advance(2000);
    const second = await join();
    const before = leg.heardBytes;
    second.speak('1', 'a1', 1000);
    clock.advance(2000);
    expect(leg.heardBytes - before).toBe(8000);
  });

  it('is listened to when the one before has heard the caller begin and not end', async () => {
    const { clock, conversation, leg, join, finish } = make();
    const first = await join();
    conversation.attach(leg);
    first.emit({ type: 'speechStarted', itemId: 'u' });
    conversation.onProviderEvent(toolCall('c1'));
    const second = await join();
    clock.advance(2000);
    expect(second.said).toEqual(['One moment.']);
    await finish('sunny');
  });

  it('speaks in its own format, also when what the one before said has waited for a line', async () => {
    const { clock, conversation, leg, join } = make();
    const first = await join();
    first.speak('r1', 'a1', 500);
    const second = await join({ encoding: 'pcm16', rate: 24_000 });
    conversation.attach(leg);
    second.emit({ type: 'responseStarted', responseId: 'r2', asked: true });
    second.emit({ type: 'audio', responseId: 'r2', itemId: 'a2', bytes: new Uint8Array(24_000) });
    second.emit({ type: 'responseDone', responseId: 'r2', status: 'completed', reason: undefined });
    clock.advance(2000);
    // What the conversion holds back makes one frame more.
    expect(leg.heardBytes).toBe(8160);
    expect(new Set(leg.played.flatMap((part) => [...part]).slice(4000))).toEqual(new Set([0xff]));
  });

  it('is not taken to have said a filler that was asked of the one before', async () => {
    const { clock, conversation, leg, join, finish } = make();
    const first = await join();
    conversation.attach(leg);
    conversation.onProviderEvent(toolCall('c1'));
    clock.advance(2000);
    expect(first.said).toEqual(['Hello.', 'One moment.']);
    const second = await join();
    second.speak('welcome', 'welcome', 2000);
    clock.advance(500);
    await finish('sunny');
    expect(second.interruptions).toEqual([]);
  });

  it('leaves nothing behind when the call ends', async () => {
    const { clock, pacer, conversation, leg, join, close } = make();
    await join();
    conversation.attach(leg);
    conversation.onProviderEvent(toolCall('c1'));
    const second = await join();
    second.speak('r', 'a', 3000, false);
    clock.advance(500);
    close();
    await settled();
    leg.close(1000, 'over');
    expect(second.results).toEqual([]);
    expect(clock.pending).toBe(0);
    expect(pacer.size).toBe(0);
  });
});

/** A desk on its own. */
function desk(mayRespond: () => boolean = () => true) {
  const clock = new VirtualClock();
  const { tool, finish } = slowTool('search');
  const over = new AbortController();
  const transcript = new Transcript();
  const events: CallEventBody[] = [];
  let told = 0;
  const tools = new ToolDesk({
    runner: new ToolRunner({ tools: [tool], clock, call: callStub(), signal: over.signal, atOnce: 4 }),
    filler: FILLER,
    clock,
    downlink: new Downlink({
      clock,
      pacer: new Pacer(clock),
      leadMs: 1000,
      createTranscoder,
      onDrained: () => undefined,
      onHeard: () => undefined,
      onFailed: () => undefined,
    }),
    transcript,
    log: createLog('silent'),
    emit: (event) => events.push(event),
    openResponses: () => new Set(),
    cut: () => undefined,
    onUntold: () => undefined,
    onGoodbyeSaid: () => undefined,
    onTold: () => {
      told += 1;
    },
    mayRespond,
    onFailed: (thrown) => {
      throw thrown;
    },
  });
  const session = async () => {
    const provider = new ManualProvider();
    const agent = { ...AGENT, tools: [tool] };
    const request = connectRequest(agent, soleCandidate(provider)[0], MULAW_8K, clock, { history: [] });
    const ready = provider.connect(request, () => undefined, over.signal);
    await provider.ready();
    return { provider, session: await ready };
  };
  return { clock, tools, finish, transcript, events, session, told: () => told };
}

describe('results for which there is no provider', () => {
  it('wait for the next one, which speaks once it has heard all of them', async () => {
    const { tools, finish, transcript, events, session, told } = desk();
    tools.connect((await session()).session);
    tools.call(toolCall('c1'));
    tools.call(toolCall('c2'));
    tools.connect(undefined);
    await finish('one');
    await finish('two');
    expect(events).toHaveLength(2);
    // What the next provider is told of the past does not hold what it is told as news.
    expect(transcript.history()).toEqual([]);
    expect(told()).toBe(0);
    const next = await session();
    tools.connect(next.session);
    expect(next.provider.results).toMatchObject([
      { callId: 'c1', result: { output: 'one', respond: false } },
      { callId: 'c2', result: { output: 'two', respond: true } },
    ]);
    expect(transcript.history()).toMatchObject([
      { type: 'tool', output: 'one' },
      { type: 'tool', output: 'two' },
    ]);
    const last = await session();
    tools.connect(last.session);
    expect(last.provider.results).toEqual([]);
  });

  it('ask for no answer when none of them wants one, or nobody may speak by then', async () => {
    for (const why of ['withdrawn', 'transfer'] as const) {
      let may = true;
      const { tools, finish, session } = desk(() => may);
      tools.call(toolCall('c1'));
      if (why === 'withdrawn') tools.cancel(['c1']);
      await finish('one');
      if (why === 'transfer') may = false;
      const next = await session();
      tools.connect(next.session);
      expect(next.provider.results).toMatchObject([{ callId: 'c1', result: { respond: false } }]);
    }
  });

  it('are told to nobody after the call', async () => {
    const { tools, finish, session } = desk();
    tools.call(toolCall('c1'));
    await finish('one');
    tools.close();
    const next = await session();
    tools.connect(next.session);
    expect(next.provider.results).toEqual([]);
  });
});

describe('the desk', () => {
  it('knows until when something runs, also when a call is delivered twice', async () => {
    const { tools, finish, session } = desk();
    tools.connect((await session()).session);
    expect(tools.working).toBeUndefined();
    tools.call(toolCall('c1'));
    tools.call(toolCall('c1'));
    expect(tools.working).toBe(FILLER.afterMs);
    await finish('one');
    expect(tools.working).toBeUndefined();
  });

  it('takes other arguments under the same id for another call', async () => {
    const { tools, finish, session } = desk();
    const { provider, session: only } = await session();
    tools.connect(only);
    tools.call(toolCall('c1'));
    tools.call(toolCall('c1', '{"city":"Bonn"}'));
    await finish('one');
    await finish('two');
    expect(provider.results.map(({ result }) => result.output)).toEqual(['one', 'two']);
  });
});
