import type { RestReply, TroubleCodes } from '../carrier-sim.ts';

/** Twilio's codes for what may go wrong on any carrier. */
export const CODES: TroubleCodes = {
  'http-failure': '11200',
  'no-connection': '11205',
  'content-type': '12300',
  'bad-address': '11100',
  'stream-unanswered': '31901',
  'stream-refused': '31902',
  'stream-broken': '31903',
  'stream-tls': '31910',
  'stream-not-upgraded': '31920',
  'stream-protocol': '31924',
};

/** An answer of the REST interface that refuses something. */
export function refusal(status: number, code: number, message: string): RestReply {
  const more_info = `https://www.twilio.com/docs/errors/${code}`;
  return { status, body: { code, message, more_info, status } };
}
