/** From a container's name to the verdict on every host. Pure. */
import { CmtError, type Failure, type HostName, type Labels } from '@cmt/contracts';
import { candidatesOf, chooseTarget, needsOf, rankTargets, type FleetFacts, type Verdict } from '@cmt/fleet';
import { refuseUnknownLabels } from './request.ts';
import { whereIs } from './where-is.ts';

export interface TargetsAsked {
  readonly container: string;
  readonly src: string | undefined;
  readonly labels: Labels;
  readonly force: boolean;
}

export interface TargetsJudged {
  readonly source: HostName;
  /** The best first. */
  readonly verdicts: readonly Verdict[];
  /** NO_TARGET when none fits. */
  readonly failure: Failure | null;
}

/** @throws {CmtError} CONTAINER_UNKNOWN, CONTAINER_AMBIGUOUS, HOST_UNKNOWN, LABEL_UNKNOWN */
export function judgeTargets(facts: FleetFacts, asked: TargetsAsked): TargetsJudged {
  const { container, labels, force } = asked;
  const records = facts.hosts.map(({ record }) => record);
  refuseUnknownLabels({ labels }, records);
  const { host, runtime } = whereIs(facts.hosts, container, asked.src);
  const wish = { runtime, place: { labels, avoid: [] }, force };
  const needs = needsOf(host.record, container, wish);
  const candidates = candidatesOf(facts);
  const choice = chooseTarget(needs, candidates);
  const failure =
    choice.host === null
      ? new CmtError('NO_TARGET', { container, host: host.name, reasons: choice.reasons }).failure
      : null;
  return { source: host.name, verdicts: rankTargets(needs, candidates), failure };
}
