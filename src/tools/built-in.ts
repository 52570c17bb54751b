import * as z from 'zod';
import { defineTool } from '../tools.ts';

/** Ends the call after the goodbye. */
export const endCall = defineTool({
  name: 'end_call',
  description: 'Ends the phone call. Say goodbye first; the call ends when the caller has heard it.',
  run(_args, call) {
    call.hangUpAfterGoodbye();
    return { ok: true };
  },
});

/** The time, so that every agent has one function that really runs. */
export const currentTime = defineTool({
  name: 'current_time',
  description: 'The current date and time.',
  parameters: z.object({
    time_zone: z.string().optional().describe('IANA name such as Europe/Berlin; the default is UTC'),
  }),
  run({ time_zone: zone = 'UTC' }, call) {
    const now = new Date(call.epoch());
    const local = new Intl.DateTimeFormat('en-GB', { dateStyle: 'full', timeStyle: 'short', timeZone: zone });
    return { utc: now.toISOString(), time_zone: zone, local: local.format(now) };
  },
});

/** What the bridge knows of the line, for the line check. */
export const lineStatus = defineTool({
  name: 'line_status',
  description: 'The network round trip between this service and the phone carrier, in milliseconds.',
  run: (_args, call) => ({ roundTripMs: Math.round(call.roundTripMs() * 10) / 10 }),
});
