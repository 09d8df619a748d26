/** What a report of vitest says, as far as `npm test` tells it on. */
import { relative } from 'node:path';

const LINES = 6;

/** What passed, failed and was skipped. Files that broke outside of their tests count as one failure each. */
export function countsOf(report, ok) {
  const failed = report.numFailedTests + report.testResults.filter(isBroken).length;
  return {
    passed: report.numPassedTests,
    failed: ok ? failed : Math.max(1, failed),
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

/** What failed, each with the beginning of its message: one text a failure. */
export const failuresOf = (report) => report.testResults.flatMap(failuresOfFile);

function failuresOfFile(file) {
  const path = relative('.', file.name);
  if (isBroken(file)) return [failure(path, [file.message || 'broke outside of its tests'])];
  return failed(file).map(({ fullName, failureMessages }) =>
    failure(`${path} > ${fullName}`, failureMessages),
  );
}

const failed = ({ assertionResults }) => assertionResults.filter(({ status }) => status === 'failed');

/** A hook or an import has thrown. */
const isBroken = (file) => file.status === 'failed' && failed(file).length === 0;

const failure = (name, messages) =>
  [name, ...messages.join('\n').split('\n').slice(0, LINES)].join('\n    ').trimEnd();
