import type { CallHandle } from '../../src/tools.ts';

/** A call on which nothing can be done, for tools that are run without one; give what the test needs. */
export function callStub(own: Partial<CallHandle> = {}): CallHandle {
  return {
    callId: 'CA1',
    carrier: 'twilio',
    direction: 'inbound',
    from: '+15550100001',
    to: '+15550100002',
    agent: 'test',
    variables: {},
    roundTripMs: () => 40,
    epoch: () => 1_700_000_000_000,
    hangUpAfterGoodbye: () => undefined,
    heard: async () => undefined,
    transfer: async () => ({ status: 'already-ended' }),
    sendDigits: async () => ({ status: 'already-ended' }),
    collectDigits: async () => ({ status: 'gone' }),
    leaveMessage: () => undefined,
    record: async () => ({ status: 'already-ended' }),
    ...own,
  };
}
