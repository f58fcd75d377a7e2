# bash completion for registryctl. Made by script/make-man from cli/verb.c.
_registryctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb= word i
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		--url | --token-file | --data) ((i++)) ;;
		-*) ;;
		*)
			verb=${verb:+$verb }$word
			case $verb in
			mirror | policy | bundle | audit | key | attest | token) ;;
			*) break ;;
			esac ;;
		esac
	done
	case $prev in
	-o | --token-file | --data) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	esac
	case $verb in
	'') COMPREPLY=($(compgen -W 'sync import ls show why licenses verify smoke publish reject deprecate undeprecate retire restore withdraw lifecycle usage sbom jobs events gc rebuild status mirror policy bundle audit key attest token --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	mirror) COMPREPLY=($(compgen -W 'list add remove run ' -- "$cur")) ;;
	policy) COMPREPLY=($(compgen -W 'show check test reload ' -- "$cur")) ;;
	bundle) COMPREPLY=($(compgen -W 'create inspect verify import ' -- "$cur")) ;;
	audit) COMPREPLY=($(compgen -W 'head verify ' -- "$cur")) ;;
	key) COMPREPLY=($(compgen -W 'generate list trust ' -- "$cur")) ;;
	attest) COMPREPLY=($(compgen -W 'show verify ' -- "$cur")) ;;
	token) COMPREPLY=($(compgen -W 'create list revoke ' -- "$cur")) ;;
	'sync') COMPREPLY=($(compgen -W ' --include --exclude --upstream --no-wait --dry-run --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'mirror list') COMPREPLY=($(compgen -W ' --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'mirror add') COMPREPLY=($(compgen -W ' --author --query --include --every --metadata-only --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'mirror remove') COMPREPLY=($(compgen -W ' --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'mirror run') COMPREPLY=($(compgen -W ' --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'import') COMPREPLY=($(compgen -W ' --as --license --no-wait --url --token-file --data --json --quiet --help -h --version' -- "$cur") $(compgen -f -- "$cur")) ;;
	'ls') COMPREPLY=($(compgen -W ' --license --commercial --min-size --max-size --min-params --max-params --format --quant --arch --task --author --tag --state --deprecated --sunset-before --contains --search --sort --limit --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'show') COMPREPLY=($(compgen -W ' --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'why') COMPREPLY=($(compgen -W ' --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'licenses') COMPREPLY=($(compgen -W ' --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'verify') COMPREPLY=($(compgen -W ' --all --no-wait --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'smoke') COMPREPLY=($(compgen -W ' --all --device --no-wait --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'publish') COMPREPLY=($(compgen -W ' --reason --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'reject') COMPREPLY=($(compgen -W ' --reason --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'deprecate') COMPREPLY=($(compgen -W ' --sunset --successor --reason --force --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'undeprecate') COMPREPLY=($(compgen -W ' --reason --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'retire') COMPREPLY=($(compgen -W ' --reason --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'restore') COMPREPLY=($(compgen -W ' --reason --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'withdraw') COMPREPLY=($(compgen -W ' --reason --legal --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'lifecycle') COMPREPLY=($(compgen -W ' --within --ics --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'usage') COMPREPLY=($(compgen -W ' --days --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'sbom') COMPREPLY=($(compgen -W ' --format --list --sha256 -o --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'policy show') COMPREPLY=($(compgen -W ' --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'policy check') COMPREPLY=($(compgen -W ' --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'policy test') COMPREPLY=($(compgen -W ' --url --token-file --data --json --quiet --help -h --version' -- "$cur") $(compgen -f -- "$cur")) ;;
	'policy reload') COMPREPLY=($(compgen -W ' --yes --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'bundle create') COMPREPLY=($(compgen -W ' -o --all --since --volume-size --sign --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'bundle inspect') COMPREPLY=($(compgen -W ' --url --token-file --data --json --quiet --help -h --version' -- "$cur") $(compgen -f -- "$cur")) ;;
	'bundle verify') COMPREPLY=($(compgen -W ' --trust --url --token-file --data --json --quiet --help -h --version' -- "$cur") $(compgen -f -- "$cur")) ;;
	'bundle import') COMPREPLY=($(compgen -W ' --trust --receipt --rollback --url --token-file --data --json --quiet --help -h --version' -- "$cur") $(compgen -f -- "$cur")) ;;
	'jobs') COMPREPLY=($(compgen -W ' --watch --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'events') COMPREPLY=($(compgen -W ' --follow --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'audit head') COMPREPLY=($(compgen -W ' --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'audit verify') COMPREPLY=($(compgen -W ' --head --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'key generate') COMPREPLY=($(compgen -W ' --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'key list') COMPREPLY=($(compgen -W ' --pem -o --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'key trust') COMPREPLY=($(compgen -W ' --url --token-file --data --json --quiet --help -h --version' -- "$cur") $(compgen -f -- "$cur")) ;;
	'attest show') COMPREPLY=($(compgen -W ' --format -o --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'attest verify') COMPREPLY=($(compgen -W ' --signature --url --token-file --data --json --quiet --help -h --version' -- "$cur") $(compgen -f -- "$cur")) ;;
	'token create') COMPREPLY=($(compgen -W ' --role --expires --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'token list') COMPREPLY=($(compgen -W ' --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'token revoke') COMPREPLY=($(compgen -W ' --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'gc') COMPREPLY=($(compgen -W ' --dry-run --keep-last --no-wait --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'rebuild') COMPREPLY=($(compgen -W ' --no-wait --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	'status') COMPREPLY=($(compgen -W ' --url --token-file --data --json --quiet --help -h --version' -- "$cur")) ;;
	esac
}
complete -F _registryctl registryctl
