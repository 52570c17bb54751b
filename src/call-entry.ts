import { randomBytes } from 'node:crypto';
import type { Ending } from './after-call.ts';
import type { Agent } from './agents.ts';
import type { PublicAddresses } from './call-urls.ts';
import {
  type AnswerPlan,
  type CallUrls,
  type Carrier,
  capabilitiesFor,
  type IncomingCall,
} from './carrier.ts';
import type { Cancel } from './clock.ts';

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
}

/** A new media token and the plan that holds it. */
export function mintStream(
  addresses: PublicAddresses,
  carrier: Carrier,
  call: IncomingCall,
  { agent, urls, plainCodec, standsAlone }: StreamTerms,
): Pick<CallEntry, 'mediaToken' | 'plan' | 'tokenUses'> {
  const mediaToken = newToken();
  const plan: AnswerPlan = {
    ...urls,
    mediaUrl: addresses.media(carrier.name, mediaToken),
    streamStatusUrl: addresses.streamStatus(carrier.name),
    // Comes back in the start message; also says in the carrier's debugger who answers.
    params: { call: call.callId, agent: agent.name },
    fallback: agent.lastResort,
    plainCodec,
    standsAlone,
  };
  return { mediaToken, plan, tokenUses: capabilitiesFor(carrier, call).tokenUses };
}

/** 192 random bits, safe in a path. */
export function newToken(): string {
  return randomBytes(24).toString('base64url');
}
