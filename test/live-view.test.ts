import { expect, it } from 'vitest';
import type { CallEvent } from '../src/call-events.ts';
import type { Terminal } from '../src/commands/command.ts';
import { LiveView } from '../src/commands/live-view.ts';

function viewed(act: (view: LiveView) => void): string[] {
  let written = '';
  const terminal: Pick<Terminal, 'isTty' | 'out'> = {
    isTty: false,
    out: (text) => {
      written += text;
    },
  };
  act(new LiveView(terminal as Terminal));
  return written.split('\n').flatMap((line) => (line === '' ? [] : [line.replace(/^ *[\d.]+ s {2}/, '')]));
}

const ready: CallEvent = {
  type: 'providerReady',
  atMs: 0,
  provider: 'gemini',
  model: undefined,
  why: 'failover',
  resumed: false,
  connectMs: 10,
  historyItems: 3,
  replayedMs: 0,
};

const lost: CallEvent = {
  type: 'providerFailed',
  atMs: 0,
  provider: 'openai',
  model: undefined,
  phase: 'in-call',
  code: 'PROVIDER_CLOSED',
  ms: 900,
};

it('says which provider was lost, why, and which one goes on', () => {
  const lines = viewed((view) => {
    view.bridge({ ...ready, provider: 'openai', why: 'start' });
    view.bridge(lost);
    view.bridge(ready);
  });
  expect(lines).toEqual(['service has lost openai (PROVIDER_CLOSED)', 'service goes on with gemini']);
});

it('says at the start of a call who takes the place of one that cannot be had', () => {
  const lines = viewed((view) => {
    view.bridge({ ...lost, phase: 'connecting', code: 'PROVIDER_AUTH' });
    view.bridge({ ...ready, why: 'start' });
  });
  expect(lines).toEqual(['service cannot have openai (PROVIDER_AUTH)', 'service goes on with gemini']);
});

it('shows a last resort that is a message or a transfer, and no number', () => {
  const lines = viewed((view) => {
    view.phone({ type: 'beep', atMs: 1 });
    view.phone({ type: 'message', end: 'gone', speechMs: 1234, atMs: 2 });
    view.phone({ type: 'dial', targets: ['+15550199'], callerId: '+15550100', atMs: 3 });
    view.phone({ type: 'leg', target: '+15550199', status: 'no-answer', atMs: 4 });
  });
  expect(lines).toEqual([
    'carrier sounds a tone and records',
    'carrier has recorded 1.2 s of speech',
    'carrier puts the caller through',
    'carrier the other end: no-answer',
  ]);
});
