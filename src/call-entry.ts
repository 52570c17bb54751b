import { randomBytes } from 'node:crypto';
import type { Ending } from './after-call.ts';
import { type Agent, LAST_RESORT } from './agents.ts';
import type { PublicAddresses } from './call-urls.ts';
import {
  type AfterStream,
  type AnswerPlan,
  type CallUrls,
  type Carrier,
  capabilitiesFor,
  type IncomingCall,
} from './carrier.ts';
import type { Cancel } from './clock.ts';
import { BridgeError } from './errors.ts';
import type { Log } from './log.ts';

/** One call, as all calls of the process are kept. */
export interface CallEntry extends Ending {
  readonly afterToken: string;
  /** Of the newest media stream. */
  plan: AnswerPlan;
  parting: Ending['parting'];
  streamOver: boolean;
  mediaToken: string;
  /** Media streams that were planned. */
  streams: number;
  /** How often the media token may still be used. */
  tokenUses: number;
  cancelMedia: Cancel;
}

/** What a stream is to be like. */
export interface StreamTerms {
  readonly agent: Agent;
  readonly urls: CallUrls;
  readonly plainCodec: boolean;
  readonly standsAlone: boolean;
  readonly log: Log;
}

/** A new media token and the plan that holds it. */
export function mintStream(
  addresses: PublicAddresses,
  carrier: Carrier,
  call: IncomingCall,
  { agent, urls, plainCodec, standsAlone, log }: StreamTerms,
): Pick<CallEntry, 'mediaToken' | 'plan' | 'tokenUses'> {
  const mediaToken = newToken();
  const plan: AnswerPlan = {
    ...urls,
    mediaUrl: addresses.media(carrier.name, mediaToken),
    streamStatusUrl: addresses.streamStatus(carrier.name),
    // Comes back in the start message; also says in the carrier's debugger who answers.
    params: { call: call.callId, agent: agent.name },
    fallback: writable(carrier, call, agent.lastResort, urls, log),
    plainCodec,
    standsAlone,
  };
  return { mediaToken, plan, tokenUses: capabilitiesFor(carrier, call).tokenUses };
}

/** A call must not stay unanswered because its last resort cannot be written. */
function writable(
  carrier: Carrier,
  call: IncomingCall,
  lastResort: AfterStream,
  urls: CallUrls,
  log: Log,
): AfterStream {
  if (call.control === 'command') return lastResort;
  try {
    carrier.document(lastResort, urls);
    return lastResort;
  } catch (thrown) {
    const err = BridgeError.from(thrown);
    log.error({ callId: call.callId, err, type: lastResort.type }, 'the last resort cannot be written');
    return LAST_RESORT;
  }
}

/** 192 random bits, safe in a path. */
export function newToken(): string {
  return randomBytes(24).toString('base64url');
}
