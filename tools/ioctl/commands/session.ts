/** Commands about the session itself: how much is told, failures on order, scripts, the end. */
import { InputError } from '../../../sim/errors.ts';
import { parseCount } from '../values.ts';
import { type ToolCommand, told } from './command.ts';

const brief: ToolCommand = {
  name: 'brief',
  group: 'session',
  usage: '[on | off]',
  help: 'one line for each call instead of its bytes',
  options: ['on', 'off'],
  run(session, args) {
    const word = args.word();
    args.end();
    if (word !== null && word !== 'on' && word !== 'off') {
      throw new InputError('ioctl-usage', `brief: "${word}" is neither on nor off`);
    }
    session.brief = word === null ? !session.brief : word === 'on';
    return told([`brief ${session.brief ? 'on' : 'off'}`], { brief: session.brief });
  },
};

const failNth: ToolCommand = {
  name: 'fail',
  group: 'session',
  usage: '<n>',
  help: 'lets the n-th fallible step from now on fail (allocations, lookups); 0: none',
  run(session, args) {
    const n = parseCount(args.needed('which step, from 1'), 'n', session.names);
    args.end();
    session.machine.kernel.memory.arm(n);
    const text = n === 0 ? 'no step fails' : `step ${n} from now on fails, once`;
    return told([text], { fail: n });
  },
};

const source: ToolCommand = {
  name: 'source',
  group: 'session',
  usage: '<file>',
  help: 'runs the commands of a file, one on each line',
  run(_session, args, runner) {
    const path = args.needed('a file');
    args.end();
    runner.source(path);
    return null;
  },
};

const echo: ToolCommand = {
  name: 'echo',
  group: 'session',
  usage: '<text>',
  help: 'prints text, for scripts',
  run(_session, args) {
    const text = args
      .rest()
      .map((item) => (item.kind === 'word' ? item.text : `${item.name}=${item.value ?? ''}`))
      .join(' ');
    return told([text], { text });
  },
};

const quit: ToolCommand = {
  name: 'quit',
  group: 'session',
  usage: '',
  help: 'ends the session (also Ctrl-D)',
  run(session, args) {
    args.end();
    session.ended = true;
    return null;
  },
};

export const SESSION_COMMANDS: readonly ToolCommand[] = [brief, failNth, source, echo, quit];
