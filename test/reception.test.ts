import { describe, expect, it, onTestFinished } from 'vitest';
import type { IncomingCall } from '../src/carrier.ts';
import { BridgeError } from '../src/errors.ts';
import type { StartAnswer } from '../src/hooks/start-hook.ts';
import { Reception, type Refusal } from '../src/reception.ts';
import type { Roster } from '../src/roster.ts';
import { soleAgent } from '../src/roster.ts';
import type { Admission } from '../src/session-manager.ts';
import { createKit, type KitOptions } from './support/call-kit.ts';
import { AGENT } from './support/carrier-styles.ts';

const PASS: StartAnswer = { type: 'answer', agent: undefined, variables: {}, failed: undefined };

interface Question {
  readonly callId: string;
  readonly signal: AbortSignal;
  readonly variables: Readonly<Record<string, string>>;
  answer(answer: StartAnswer): void;
  fail(error: Error): void;
}

/** A reception whose calls are all asked about, by a test that answers. */
function desk(options: KitOptions = {}, own: Partial<Roster> = {}) {
  const kit = createKit({ ...options, agent: AGENT });
  onTestFinished(() => kit.close());
  const questions: Question[] = [];
  const sole = soleAgent(AGENT, kit.provider, () => ({ mode: 'report' }));
  const roster: Roster = {
    ...sole,
    route: () => ({
      agent: AGENT.name,
      ordered: {},
      variables: { room: 'one' },
      ask: ({ callId, variables }, signal) =>
        new Promise((resolve, reject) => {
          questions.push({ callId, signal, variables, answer: resolve, fail: reject });
        }),
    }),
    ...own,
  };
  const givenUp = new Set<string | undefined>();
  const reception = new Reception({
    roster,
    manager: () => kit.manager,
    log: kit.log,
    metrics: kit.metrics,
    gaveUp: (ref) => givenUp.has(ref),
    epoch: () => kit.clock.epoch(),
  });
  const receive = (callId: string, reserved = false, more: Partial<IncomingCall> = {}) =>
    reception.receive(kit.carrier, kit.incoming(callId, more), reserved);
  const question = (index: number): Question => {
    const found = questions[index];
    if (found === undefined) throw new Error(`nobody has asked ${index + 1} times`);
    return found;
  };
  return { ...kit, reception, receive, questions, question, givenUp };
}

function agentOf(admission: Admission | Refusal): string {
  return typeof admission === 'string' ? admission : admission.agent;
}

describe('Reception', () => {
  it('leaves what was ordered of a call as it is, whatever somebody answers', async () => {
    const ordered = desk(
      {},
      {
        route: () => ({
          agent: AGENT.name,
          variables: { guest: 'Ann', room: 'one' },
          ordered: { guest: 'Ann' },
          ask: async () => ({
            type: 'answer',
            agent: undefined,
            variables: { guest: 'Bob', room: 'two' },
            failed: undefined,
          }),
        }),
      },
    );
    const admission = await ordered.receive('CA1');
    if (typeof admission === 'string') throw new Error(admission);
    expect(admission.session.agent.variables).toMatchObject({ guest: 'Ann', room: 'two' });
    await ordered.close();
  });

  it('takes no variable from a webhook that the bridge fills in itself, and says so', async () => {
    const on = desk();
    const admission = on.receive('CA1');
    const variables = { caller: '+15550199', caller_name: 'The Boss', guest: 'Ann' };
    on.question(0).answer({ ...PASS, variables });
    const admitted = await admission;
    expect(typeof admitted === 'object' && admitted.session.agent.variables).toEqual({
      room: 'one',
      guest: 'Ann',
    });
    const words = 'the start webhook sets variables that the bridge fills in; they are left out';
    expect(on.logged(words)).toBe(1);
  });

  it('lets a call in at once when nobody has to be asked', () => {
    const on = desk(
      {},
      { route: () => ({ agent: 'line-check', variables: {}, ordered: {}, ask: undefined }) },
    );
    const admission = on.receive('CA1');
    expect(admission).not.toBeInstanceOf(Promise);
    expect(on.manager.size).toBe(1);
  });

  it('asks once about a call, however often it comes', async () => {
    const on = desk();
    const first = on.receive('CA1');
    const second = on.receive('CA1');
    expect(second).toBe(first);
    expect([on.questions.length, on.reception.pending]).toEqual([1, 1]);
    on.question(0).answer({ ...PASS, variables: { guest: 'Ms Hook' } });
    const admission = await first;
    expect(on.reception.pending).toBe(0);
    expect(agentOf(await second)).toBe(AGENT.name);
    expect(typeof admission === 'object' && admission.session.agent.variables).toMatchObject({
      room: 'one',
      guest: 'Ms Hook',
    });
    // Let in by now, it is known without a question.
    expect(on.receive('CA1')).toMatchObject({ agent: AGENT.name });
    expect(on.questions).toHaveLength(1);
  });

  it('does not count a call that was placed among those that need room', async () => {
    const on = desk();
    const inbound = on.receive('CA1');
    const placed = on.receive('CA2', true, { direction: 'outbound' });
    expect(on.reception.pending).toBe(1);
    on.question(0).answer(PASS);
    on.question(1).answer(PASS);
    await Promise.all([inbound, placed]);
    expect(on.manager.size).toBe(2);
  });

  it('asks about nobody when there is no room', () => {
    const on = desk({ maxCalls: 1 });
    on.admit('CA1');
    expect(on.receive('CA2')).toBe('busy');
    expect(on.questions).toEqual([]);
  });

  it('does not let in who has hung up meanwhile, and is in time with telling whoever was asked', async () => {
    const on = desk();
    const admission = on.receive('CA1');
    on.manager.callOver('twilio', 'CA1');
    on.reception.callOver('twilio', 'CA1');
    expect(on.question(0).signal.aborted).toBe(true);
    on.question(0).answer({ ...PASS, failed: new BridgeError('CANCELLED', 'given up') });
    expect(await admission).toBe('over');
    expect(on.manager.size).toBe(0);
    expect(on.logged('the start webhook failed')).toBe(0);
    expect(on.receive('CA1')).toBe('over');
  });

  it('does not let in whoever has picked up when nobody wants the call any more', async () => {
    const on = desk();
    const admission = on.receive('CA1', true, { direction: 'outbound', ref: 'call_1' });
    on.givenUp.add('call_1');
    on.question(0).answer(PASS);
    expect(await admission).toBe('over');
    expect(on.manager.size).toBe(0);
  });

  it('does not take the hang-up of one call, or of another carrier, for that of another', async () => {
    const on = desk();
    const admission = on.receive('CA1');
    on.reception.callOver('twilio', 'CA2');
    on.reception.callOver('plivo', 'CA1');
    expect(on.question(0).signal.aborted).toBe(false);
    on.question(0).answer(PASS);
    expect(agentOf(await admission)).toBe(AGENT.name);
  });

  it('turns everybody away whom it was asking about when the service closes', async () => {
    const on = desk();
    const both = [on.receive('CA1'), on.receive('CA2')];
    on.reception.close();
    const closed = on.manager.close();
    for (const [index, { signal }] of on.questions.entries()) {
      expect(signal.aborted).toBe(true);
      on.question(index).answer({ ...PASS, failed: new BridgeError('CANCELLED', 'given up') });
    }
    expect(await Promise.all(both)).toEqual(['busy', 'busy']);
    await closed;
    expect(on.logged('the start webhook failed')).toBe(0);
  });

  it('answers busy, and lets the next one in, when something is wrong with itself', async () => {
    const on = desk();
    const admission = on.receive('CA1');
    on.question(0).fail(new Error('a bug'));
    expect(await admission).toBe('busy');
    expect(on.logged('a call could not be let in')).toBe(1);
    expect(on.reception.pending).toBe(0);
    const next = on.receive('CA2');
    on.question(1).answer(PASS);
    expect(agentOf(await next)).toBe(AGENT.name);
  });

  it('asks about nobody who may not call any more today, and says so without a number', () => {
    const on = desk({}, { spent: () => 'rejected' });
    expect(on.receive('CA1', false, { from: '+15550100321' })).toBe('rejected');
    expect(on.questions).toEqual([]);
    expect(on.lines.join()).not.toContain('5550100321');
    expect(on.logged('what may be spent today has been spent')).toBe(1);
  });

  it('refuses a call that is for nobody, and for somebody who is not there', async () => {
    const nobody = desk(
      {},
      { route: () => ({ agent: undefined, variables: {}, ordered: {}, ask: undefined }) },
    );
    expect(nobody.receive('CA1')).toBe('rejected');
    const gone = desk({}, { termsFor: () => undefined });
    const admission = gone.receive('CA1');
    gone.question(0).answer(PASS);
    expect(await admission).toBe('rejected');
  });
});
