import { BridgeError } from '../errors.ts';
import { isRecord } from '../is-record.ts';
import type { BuiltIn, DigitWish, Tool } from '../tools.ts';
import {
  collectDigits,
  currentTime,
  type Destination,
  endCall,
  leaveMessage,
  lineStatus,
  sendDigits,
  transferCall,
} from './built-in.ts';

/** The bridge's own functions as a recording names them. */

/** The function that a recording names, made again. Throws BAD_INPUT for one that there is not, or that lacks something. */
export function builtInTool({ name, options = {} }: BuiltIn): Tool {
  switch (name) {
    case 'end_call':
      return endCall;
    case 'current_time':
      return currentTime;
    case 'line_status':
      return lineStatus;
    case 'send_digits':
      return sendDigits;
    case 'transfer_call': {
      const destinations = destinationsOf(options['destinations']);
      if (destinations !== undefined) return transferCall(destinations);
      throw lacking(name, 'destinations');
    }
    case 'collect_digits': {
      const defaults = wishOf(options['defaults']);
      if (defaults !== undefined) return collectDigits(defaults);
      throw lacking(name, 'defaults');
    }
    case 'leave_message': {
      const { text } = options;
      return leaveMessage(typeof text === 'string' ? text : undefined);
    }
    default:
      throw new BridgeError(
        'BAD_INPUT',
        `there is no built-in function ${JSON.stringify(name.slice(0, 64))}`,
      );
  }
}

/** Undefined: it is no list of at least one destination. */
function destinationsOf(found: unknown): readonly Destination[] | undefined {
  if (!Array.isArray(found) || found.length === 0) return undefined;
  const destinations = found.map(destinationOf).filter((one) => one !== undefined);
  return destinations.length === found.length ? destinations : undefined;
}

function destinationOf(found: unknown): Destination | undefined {
  if (!isRecord(found)) return undefined;
  const { name, to, description, callerId, ringS, announce, language } = found;
  if (typeof name !== 'string' || typeof to !== 'string' || typeof ringS !== 'number') return undefined;
  if (!isText(description) || !isText(callerId) || !isText(announce) || !isText(language)) return undefined;
  return { name, to, description, callerId, ringS, announce, language };
}

function wishOf(found: unknown): DigitWish | undefined {
  if (!isRecord(found)) return undefined;
  const { max, endKey, firstMs, nextMs } = found;
  if (typeof max !== 'number' || typeof firstMs !== 'number' || typeof nextMs !== 'number') return undefined;
  return isText(endKey) ? { max, endKey, firstMs, nextMs } : undefined;
}

function isText(found: unknown): found is string | undefined {
  return found === undefined || typeof found === 'string';
}

function lacking(name: string, what: string): BridgeError {
  return new BridgeError(
    'BAD_INPUT',
    `the built-in function ${name} has no ${what}, or such that it cannot use`,
  );
}
