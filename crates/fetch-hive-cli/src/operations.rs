//! The command for each operation of the API.

/// The id of each operation in the OpenAPI document, and its command.
pub(crate) const OPERATIONS: [(&str, &str); 43] = [
    ("invokeWorkflow", "workflow run DEPLOYMENT"),
    ("invokePrompt", "prompt run DEPLOYMENT"),
    ("invokeAgent", "agent run AGENT MESSAGE"),
    ("invokeHiveAgent", "hive-agent run HIVE_AGENT OBJECTIVE --callback URL"),
    ("triggerWorkflow", "trigger workflow ENDPOINT VARIANT --secret-env NAME --callback URL"),
    ("triggerPrompt", "trigger prompt ENDPOINT VARIANT --secret-env NAME --callback URL"),
    ("triggerAgent", "trigger agent AGENT MESSAGE --secret-env NAME --callback URL"),
    ("getRequest", "request get ID"),
    ("getAgentDelegation", "delegation get ID"),
    ("cancelAgentDelegation", "delegation cancel ID"),
    ("listThreadDelegations", "delegation list THREAD"),
    ("listModels", "model list"),
    ("listSearchServiceCountries", "country list"),
    ("getSearchServiceCountries", "country get SERVICE"),
    ("listErrorCodes", "error-code list"),
    ("listAgents", "agent list"),
    ("createAgent", "agent create -f NAME=VALUE"),
    ("getAgent", "agent get ID"),
    ("updateAgent", "agent update ID -f NAME=VALUE"),
    ("deleteAgent", "agent delete ID"),
    ("createAgentChat", "chat create AGENT -f NAME=VALUE"),
    ("getAgentChat", "chat get AGENT ID"),
    ("updateAgentChat", "chat update AGENT ID -f NAME=VALUE"),
    ("deleteAgentChat", "chat delete AGENT ID"),
    ("listAgentChatMessages", "chat messages AGENT ID"),
    ("clearAgentChatMessages", "chat clear AGENT ID"),
    ("listKnowledgeBases", "kb list"),
    ("createKnowledgeBase", "kb create -f NAME=VALUE"),
    ("getKnowledgeBase", "kb get ID"),
    ("updateKnowledgeBase", "kb update ID -f NAME=VALUE"),
    ("deleteKnowledgeBase", "kb delete ID"),
    ("searchKnowledgeBase", "kb search ID QUERY"),
    ("listKnowledgeBaseItems", "kb-item list KB"),
    ("createKnowledgeBaseItem", "kb-item create KB -f NAME=VALUE"),
    ("getKnowledgeBaseItem", "kb-item get KB ID"),
    ("updateKnowledgeBaseItem", "kb-item update KB ID -f NAME=VALUE"),
    ("deleteKnowledgeBaseItem", "kb-item delete KB ID"),
    ("regenerateKnowledgeBaseItem", "kb-item regenerate KB ID"),
    ("listAssets", "asset list"),
    ("uploadAsset", "asset upload FILE"),
    ("listToolActionApprovals", "approval list"),
    ("getToolActionApproval", "approval get ID"),
    ("decideToolActionApproval", "approval decide ID allow_once"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use serde_json::Value;

    use super::*;
    use crate::args::Cli;

    /// Returns the id of each operation in the contract, with its method and path.
    fn declared() -> BTreeMap<String, String> {
        let contract: Value = serde_json::from_str(fetch_hive_emulator::OPENAPI).unwrap();
        let mut declared = BTreeMap::new();
        for (path, item) in contract["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                if let Some(id) = operation["operationId"].as_str() {
                    declared.insert(id.to_owned(), format!("{} {path}", method.to_uppercase()));
                }
            }
        }
        declared
    }

    fn guide(page: &str) -> String {
        let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fetch-hive-client/docs");
        std::fs::read_to_string(pages.join(page)).unwrap()
    }

    /// Parses a command line, and names it if it is invalid.
    fn parse(line: &str) {
        let words = shlex::split(line).unwrap_or_else(|| panic!("not a command line: {line}"));
        let parsed = Cli::description().try_get_matches_from(words);
        assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
    }

    #[test]
    fn every_operation_of_the_contract_has_a_command() {
        let declared: Vec<String> = declared().into_keys().collect();
        let mut commands: Vec<&str> = OPERATIONS.iter().map(|(id, _)| *id).collect();
        commands.sort_unstable();
        assert_eq!(commands, declared);
        for (_, command) in OPERATIONS {
            parse(&format!("fetch-hive {command}"));
        }
    }

    #[test]
    fn guide_lists_every_operation() {
        let (guide, declared) = (guide("cli.md"), declared());
        for (id, command) in OPERATIONS {
            let operation = declared[id].replace("/public/workspaces/{workspace_id}", "…");
            let row = format!("| {operation} | `fetch-hive {command}` |");
            assert!(guide.lines().any(|line| line == row), "missing: {row}");
        }
    }

    #[test]
    fn commands_in_examples_and_texts_are_valid() {
        let guide = ["cli.md", "mcp.md", "batch.md"].map(guide).concat();
        let mut lines: Vec<String> = guide.lines().map(str::to_owned).collect();
        lines.extend(include_str!("../README.md").lines().map(str::to_owned));
        let mut commands = vec![Cli::description()];
        while let Some(command) = commands.pop() {
            lines.extend(
                command
                    .get_before_help()
                    .map(ToString::to_string)
                    .iter()
                    .flat_map(|help| help.lines().map(str::to_owned).collect::<Vec<_>>()),
            );
            commands.extend(command.get_subcommands().cloned());
        }
        let mut count = 0;
        for line in &lines {
            let line = line.trim().trim_start_matches("$ ");
            if line.starts_with("fetch-hive ") {
                let line = line.split(" # ").next().unwrap_or(line);
                // The shell handles redirections.
                parse(
                    line.split(" < ")
                        .next()
                        .unwrap_or(line)
                        .split(" > ")
                        .next()
                        .unwrap_or(line)
                        .trim_end_matches(" >> $PROFILE"),
                );
                count += 1;
            }
        }
        assert!(count > 80, "{count}");
    }

    #[test]
    fn examples_fit_into_the_help() {
        let mut commands = vec![Cli::description()];
        while let Some(command) = commands.pop() {
            let help = command.get_before_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
            commands.extend(command.get_subcommands().cloned());
        }
    }
}
