# The application: tray, window, agent and command line.
cask "keyfob-app" do
  arch arm: "aarch64", intel: "x86_64"

  version "@VERSION@"
  sha256 arm:   "@SHA256:Keyfob-@VERSION@-aarch64.zip@",
         intel: "@SHA256:Keyfob-@VERSION@-x86_64.zip@"

  url "@BASE@/v#{version}/Keyfob-#{version}-#{arch}.zip"
  name "Keyfob"
  desc "Short-lived credentials for Bazel, AWS and Metaflow from one sign-in"
  homepage "@BASE@"

  depends_on macos: ">= :monterey"

  app "Keyfob.app"
  binary "#{appdir}/Keyfob.app/Contents/MacOS/keyfob"
  binary "#{appdir}/Keyfob.app/Contents/MacOS/keyfob", target: "bazel-credential-keyfob"
  binary "#{appdir}/Keyfob.app/Contents/MacOS/keyfob", target: "docker-credential-keyfob"
  binary "#{appdir}/Keyfob.app/Contents/MacOS/keyfob", target: "git-credential-keyfob"

  # An upgrade removes the version before with its LaunchAgent: what was enabled is enabled again.
  postflight do
    note = Pathname("~/Library/Caches/dev.keyfob.agent.enabled").expand_path
    next unless note.exist?

    is_of_this_upgrade = note.mtime > Time.now - 3600
    note.delete
    next unless is_of_this_upgrade

    system_command "#{appdir}/Keyfob.app/Contents/MacOS/keyfob", args: ["agent", "enable"]
  end

  uninstall_preflight do
    if Pathname("~/Library/LaunchAgents/dev.keyfob.agent.plist").expand_path.exist?
      note = Pathname("~/Library/Caches/dev.keyfob.agent.enabled").expand_path
      note.dirname.mkpath
      note.write ""
    end
  end

  uninstall launchctl: ["dev.keyfob.agent", "dev.keyfob.tray"],
            quit:      "dev.keyfob.tray"

  zap trash: [
    "~/Library/Application Support/Keyfob",
    "~/Library/Caches/dev.keyfob.agent.enabled",
  ]
end
