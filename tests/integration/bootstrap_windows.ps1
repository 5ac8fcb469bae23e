# Stand-ins for the commands of Windows that the bootstrap script uses, over a small world that is kept in $world. Each that changes something is noted in
# $did; what is not there is an error, as on Windows, unless -ErrorAction says otherwise. Played after Microsoft's documentation of each command.
$world = @{
    elevated = $true; answers = @(); broken = ''; owner = 'BA'; hidden = @(); tells = 'prefix'
    users = @{ Administrator = @{ Name = 'Administrator'; Enabled = $true; Description = 'built in' } }
    members = @('Administrator'); orphans = @()
    services = @{ WinRM = @{ Status = 'Stopped'; StartType = 'Manual' } }
    rules = @{
        'WINRM-HTTP-In-TCP' = @{ Name = 'WINRM-HTTP-In-TCP'; Enabled = 'True'; Action = 'Allow'; Port = '5985'; Addresses = @('LocalSubnet') }
        'WINRM-HTTP-In-TCP-PUBLIC' = @{ Name = 'WINRM-HTTP-In-TCP-PUBLIC'; Enabled = 'False'; Action = 'Allow'; Port = '5985'; Addresses = @('Any') }
        'Other' = @{ Name = 'Other'; Enabled = 'True'; Action = 'Allow'; Port = '80'; Addresses = @('Any') }
    }
    registry = @{}
    settings = @{
        'Service\AllowUnencrypted' = 'false'; 'Service\Auth\Basic' = 'true'; 'Service\Auth\Negotiate' = 'true'; 'MaxEnvelopeSizekb' = '150'
        'Service\MaxConcurrentOperationsPerUser' = '1500'; 'Shell\MaxShellsPerUser' = '2147483647'; 'Shell\MaxProcessesPerShell' = '25'
        'Shell\MaxMemoryPerShellMB' = '1024'
    }
    certificates = @{}; made = 0; listener = $null; capability = 'NotPresent'; addresses = @('127.0.0.1', '10.0.0.11', '169.254.3.4')
}
$did = New-Object Collections.ArrayList
$said = New-Object Collections.ArrayList

class Certificate {
    [string]$Thumbprint; [string]$Subject; [string]$Alternatives; [string]$FriendlyName; [DateTime]$NotAfter; [bool]$HasPrivateKey; [byte[]]$RawData
    [string] GetNameInfo([string]$kind, [bool]$issuer) { return $this.Subject.Substring(3) }
}

function Add-Deed([string]$deed) { if ($world.broken -and $deed -like $world.broken) { throw "broken: $deed" }; [void]$did.Add($deed) }
function Write-Host([string]$text) { [void]$said.Add($text) }
function whoami.exe { if ($world.elevated) { 'Mandatory Label\High Mandatory Level  Label  S-1-16-12288' } else { 'Mandatory Label\Medium  Label  S-1-16-8192' } }
function icacls.exe {
    $deed = "icacls $($args[1..9] -join ' ')"
    $global:LASTEXITCODE = [int]($world.broken -and $deed -like $world.broken)
    if ($LASTEXITCODE -eq 0) { Add-Deed $deed }
    if ($LASTEXITCODE -eq 0 -and $args[1] -eq '/setowner') { [IO.File]::SetUnixFileMode($args[0], 'UserRead, UserWrite, UserExecute') }
}
# The beginning of what Windows tells: the owner, by an alias of SDDL or by a SID. Here the administrators own what has no rights for others.
function Get-Acl {
    param([string]$LiteralPath)
    $owner = if (([int][IO.File]::GetUnixFileMode($LiteralPath) -band 63) -eq 0) { $world.owner } else { 'S-1-5-21-1-2-3-1001' }
    [pscustomobject]@{ Sddl = "O:$($owner)G:SYD:" }
}
function Import-Module { param([string]$Name, [switch]$UseWindowsPowerShell, [string]$WarningAction) }
function Read-Host {
    param([string]$Prompt, [switch]$AsSecureString)
    $answer, $world.answers = $world.answers
    $secret = New-Object Security.SecureString
    foreach ($letter in ([string]$answer).ToCharArray()) { $secret.AppendChar($letter) }
    return $secret
}

function Get-LocalUser {
    [CmdletBinding()] param([string]$Name)
    if ($world.users.ContainsKey($Name)) { [pscustomobject]$world.users[$Name] } else { Write-Error "no user $Name" }
}
function New-LocalUser {
    param([string]$Name, [Security.SecureString]$Password, [switch]$AccountNeverExpires, [switch]$PasswordNeverExpires,
        [switch]$UserMayNotChangePassword, [ValidateLength(0, 48)][string]$Description)
    Add-Deed "make user $Name"
    $world.users[$Name] = @{ Name = $Name; Enabled = $true; Description = $Description }
    $world.password = (New-Object Net.NetworkCredential('', $Password)).Password
}
function Remove-LocalUser { param([string]$Name) Add-Deed "remove user $Name"; $world.users.Remove($Name) }
function Get-LocalGroup { param([string]$SID) if ($SID -eq 'S-1-5-32-544') { [pscustomobject]@{ Name = 'Administratoren' } } else { throw "no group $SID" } }
function Add-LocalGroupMember {
    [CmdletBinding()] param([string]$SID, [string]$Member)
    $world.hidden = @()
    if ($world.members -contains $Member) {
        $exists = [InvalidOperationException]"$Member is already a member of group Administrators."
        $PSCmdlet.ThrowTerminatingError([Management.Automation.ErrorRecord]::new($exists, 'MemberExists', 'ResourceExists', $Member))
    }
    Add-Deed "add member $Member"
    $world.members += $Member
}
function Remove-LocalGroupMember {
    [CmdletBinding()] param([string]$SID, [string]$Member)
    if ($world.members -notcontains $Member) { Write-Error "$Member is no member of group Administrators." }
    Add-Deed "remove member $Member"
    $world.members = @($world.members | Where-Object { $_ -ne $Member })
}

# ADSI's provider WinNT: a path of a user or a group, or a member as Members gives it. Who is in $world.hidden becomes a member only after this look.
class Entry {
    [string]$Path; [hashtable]$World
    [object] Invoke([string]$name) {
        if ($name -ne 'Members' -or $this.Path -ne 'WinNT://./Administratoren,group') { throw "no $name of $($this.Path)" }
        return @(foreach ($member in @($this.World.members) + $this.World.orphans) { if ($this.World.hidden -notcontains $member) { "member $member" } })
    }
    [object] InvokeGet([string]$name) {
        if ($name -ne 'objectSid') { throw "no property $name" }
        $found = $this.Path -replace '^member ', '' -replace '^WinNT://\./(.*),user$', '$1'
        if ($found -like '*without SID') { throw 'The property objectSid cannot be found in the cache.' }
        return [Text.Encoding]::ASCII.GetBytes($found.ToLowerInvariant())
    }
}
$newObject = Get-Command -Name New-Object -CommandType Cmdlet
function New-Object {
    param([string]$TypeName, [object[]]$ArgumentList)
    if ($TypeName -eq 'DirectoryServices.DirectoryEntry') { return [Entry]@{ Path = $ArgumentList[0]; World = $world } }
    & $newObject @PSBoundParameters
}

function Get-Service {
    [CmdletBinding()] param([string]$Name)
    if ($world.services.ContainsKey($Name)) { [pscustomobject]$world.services[$Name] } else { Write-Error "no service $Name" }
}
function Set-Service { param([string]$Name, [string]$StartupType) Add-Deed "service $Name $StartupType"; $world.services[$Name].StartType = $StartupType }
function Start-Service { param([string]$Name) Add-Deed "start $Name"; $world.services[$Name].Status = 'Running' }
function Stop-Service { param([string]$Name, [switch]$Force) Add-Deed "stop $Name"; $world.services[$Name].Status = 'Stopped' }

function Get-NetFirewallRule {
    [CmdletBinding()] param([string[]]$Name)
    foreach ($pattern in $Name) {
        $found = @($world.rules.Keys | Where-Object { $_ -like $pattern } | ForEach-Object { [pscustomobject]$world.rules[$_] })
        if ($found.Count -eq 0) { Write-Error "no rule $pattern" } else { $found }
    }
}
function Get-NetFirewallPortFilter { param([Parameter(ValueFromPipeline = $true)]$rule) process { [pscustomobject]@{ LocalPort = $rule.Port } } }
function Get-NetFirewallAddressFilter { param([Parameter(ValueFromPipeline = $true)]$rule) process { [pscustomobject]@{ RemoteAddress = $rule.Addresses } } }
# Networks of IPv4 are told with a mask (NetworkingDsc issue 404), single addresses alone, addresses of IPv6 in .NET's spelling. How a network of IPv6 is told,
# and whether one address keeps its /32, was not seen: $world.tells plays each way (prefix, capitals, whole, range).
function ConvertTo-Told([string]$said) {
    $base, $bits = $said -split '/'
    $address = [Net.IPAddress]::Parse($base)
    $bytes = $address.GetAddressBytes()
    $width = $bytes.Length * 8
    if ($null -eq $bits) { $bits = $width }
    $mask = [byte[]]@(foreach ($at in 0..($bytes.Length - 1)) { 256 - [Math]::Pow(2, 8 - [Math]::Max(0, [Math]::Min(8, [int]$bits - 8 * $at))) })
    if ($world.tells -eq 'range' -and [int]$bits -lt $width) {
        $last = [byte[]]@(foreach ($at in 0..($bytes.Length - 1)) { $bytes[$at] -bor (255 - $mask[$at]) })
        return "$address-$([Net.IPAddress]::new($last))"
    }
    if ($width -eq 32 -and ([int]$bits -lt 32 -or $world.tells -eq 'whole')) { return "$address/$([Net.IPAddress]::new($mask))" }
    $told = if ([int]$bits -lt $width -or $world.tells -eq 'whole') { "$address/$bits" } else { "$address" }
    if ($world.tells -eq 'capitals') { return $told.ToUpperInvariant() }
    return $told
}
function New-NetFirewallRule {
    param([string]$Name, [string]$DisplayName, [string]$Direction, [string]$Protocol, [int]$LocalPort, [string[]]$RemoteAddress, [string]$Action, [string]$Profile)
    Add-Deed "allow $Name $Direction $Protocol $LocalPort $($RemoteAddress -join ' ')"
    $told = @($RemoteAddress | ForEach-Object { ConvertTo-Told $_ })
    $world.rules[$Name] = @{ Name = $Name; Enabled = 'True'; Action = $Action; Port = "$LocalPort"; Addresses = $told }
}
function Remove-NetFirewallRule { param([string]$Name) Add-Deed "remove rule $Name"; $world.rules.Remove($Name) }
function Disable-NetFirewallRule { param([string]$Name) Add-Deed "switch off $Name"; $world.rules[$Name].Enabled = 'False' }
function Enable-NetFirewallRule { param([string]$Name) Add-Deed "switch on $Name"; $world.rules[$Name].Enabled = 'True' }
function Get-NetIPAddress { param([string]$AddressFamily) foreach ($address in $world.addresses) { [pscustomobject]@{ IPAddress = $address } } }

function Get-ItemProperty {
    [CmdletBinding()] param([string]$Path, [string]$Name)
    if ($world.registry.ContainsKey("$Path\$Name")) { [pscustomobject]@{ $Name = $world.registry["$Path\$Name"] } } else { Write-Error "no value $Name" }
}
function New-ItemProperty {
    param([string]$Path, [string]$Name, $Value, [string]$PropertyType, [switch]$Force)
    Add-Deed "set $Name $Value"
    $world.registry["$Path\$Name"] = $Value
}
function Remove-ItemProperty { param([string]$Path, [string]$Name) Add-Deed "unset $Name"; $world.registry.Remove("$Path\$Name") }
function Test-Path { param([string]$Path) $true }

function Get-Item {
    [CmdletBinding()] param([string]$Path)
    if ($Path.StartsWith('WSMan:\localhost\')) {
        if ($world.services.WinRM.Status -ne 'Running') { throw 'WinRM does not run' }
        return [pscustomobject]@{ Value = $world.settings[$Path.Substring(17)] }
    }
    $thumbprint = $Path.Replace('Cert:\LocalMachine\My\', '')
    if ($world.certificates.ContainsKey($thumbprint)) { $world.certificates[$thumbprint] } else { Write-Error "no item $Path" }
}
function Set-Item { param([string]$Path, $Value, [switch]$Force) Add-Deed "setting $($Path.Substring(17)) $Value"; $world.settings[$Path.Substring(17)] = "$Value" }
function Remove-Item { param([string]$Path, [switch]$DeleteKey) Add-Deed "remove $Path"; $world.certificates.Remove($Path.Replace('Cert:\LocalMachine\My\', '')) }
function New-SelfSignedCertificate {
    param([string]$Subject, [string]$TextExtension, [string]$CertStoreLocation, [DateTime]$NotAfter, [string]$FriendlyName)
    Add-Deed "certificate $TextExtension"
    $world.made++
    $made = [Certificate]@{
        Thumbprint = ([string]$world.made).PadLeft(40, 'A'); Subject = $Subject; FriendlyName = $FriendlyName; NotAfter = $NotAfter; HasPrivateKey = $true
        RawData = [Text.Encoding]::ASCII.GetBytes("certificate $($world.made) " + ('x' * 60))
    }
    $world.certificates[$made.Thumbprint] = $made
    return $made
}
function Get-WSManInstance {
    param([string]$ResourceURI, [switch]$Enumerate)
    if ($world.services.WinRM.Status -ne 'Running') { throw 'WinRM does not run' }
    [pscustomobject]@{ Transport = 'HTTP'; Address = '*'; Port = '5985'; Enabled = 'true'; Hostname = ''; CertificateThumbprint = '' }
    if ($null -ne $world.listener) { [pscustomobject]($world.listener + @{ Transport = 'HTTPS'; Address = '*' }) }
}
function New-WSManInstance {
    param([string]$ResourceURI, [hashtable]$SelectorSet, [hashtable]$ValueSet)
    if ($null -ne $world.listener) { throw 'there is one' }
    Add-Deed "listen $($ValueSet.Port) $($ValueSet.CertificateThumbprint)"
    $world.listener = $ValueSet
}
function Set-WSManInstance {
    param([string]$ResourceURI, [hashtable]$SelectorSet, [hashtable]$ValueSet)
    if ($null -eq $world.listener) { throw 'there is none' }
    Add-Deed "listen $($ValueSet.Port) $($ValueSet.CertificateThumbprint)"
    $world.listener = $ValueSet
}
function Remove-WSManInstance { param([string]$ResourceURI, [hashtable]$SelectorSet) Add-Deed 'listen no more'; $world.listener = $null }

function Get-WindowsCapability { param([switch]$Online, [string]$Name) [pscustomobject]@{ Name = 'OpenSSH.Server~~~~0.0.1.0'; State = $world.capability } }
function Add-WindowsCapability {
    param([switch]$Online, [string]$Name)
    Add-Deed "install $Name"
    $world.capability = 'Installed'
    $world.services.sshd = @{ Status = 'Stopped'; StartType = 'Manual' }
    $world.rules['OpenSSH-Server-In-TCP'] = @{ Name = 'OpenSSH-Server-In-TCP'; Enabled = 'True'; Action = 'Allow'; Port = '22'; Addresses = @('Any') }
    [void][IO.Directory]::CreateDirectory([IO.Path]::Combine($env:ProgramData, 'ssh'))
}
function Remove-WindowsCapability {
    param([switch]$Online, [string]$Name)
    Add-Deed "uninstall $Name"
    $world.capability = 'NotPresent'
    $world.services.Remove('sshd')
    $world.rules.Remove('OpenSSH-Server-In-TCP')
}

# ---- what a test says ---------------------------------------------------------------------------------------------------------------
$runs = New-Object Collections.ArrayList
function Start-Script([string]$path) {
    $did.Clear(); $said.Clear()
    $fault = ''
    $script = [ScriptBlock]::Create([IO.File]::ReadAllText($path))
    try { $output = @(& $script @args) } catch { $output = @(); $fault = $_.Exception.Message }
    $seen = @{}
    foreach ($key in @('users', 'members', 'services', 'rules', 'registry', 'settings', 'listener', 'capability')) { $seen[$key] = $world[$key] }
    $seen.certificates = @($world.certificates.Keys | ForEach-Object { $_ })
    $password = if ($world.ContainsKey('password')) { $world.password } else { '' }
    $text = ConvertTo-Json -InputObject $seen -Depth 6 -Compress
    [void]$runs.Add(@{ did = @($did.ToArray()); said = @($said.ToArray()); fault = $fault; output = $output.Count; world = $text; password = $password })
}
